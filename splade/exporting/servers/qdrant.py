"""Files for Qdrant: points in requests of its REST interface, the bodies of a collection and of searches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from splade.exporting.lines import Layout, json_line, parse_line
from splade.exporting.servers.vector_lines import (
    Count,
    Numbered,
    ServerFiles,
    check_weight,
    kept_entry,
    rounded,
    steps_for_queries,
)
from splade.exporting.target import Documents, Written
from splade.exporting.vectors import Entry, Vector
from splade.files import InputError, write_json

COLLECTION, VECTOR = "collection.json", "splade"
AT_ONCE = 500  # points of a request; a server takes 32 MB


class Qdrant(ServerFiles):
    """The `FileTarget` of ``collection.json``, ``points.ndjson`` and ``queries.jsonl``.

    A line of ``points.ndjson`` is the body of a request, with ``batch`` points at most. A point's ``id`` is the number
    in the collection, its payload has ``doc_id``; one without terms has no vector. ``hits`` documents are asked for by
    each search. ``shard_docs`` and ``gzip`` as in `splade.exporting.lines.Layout`.
    """

    def __init__(
        self, hits: int = 1000, batch: int = AT_ONCE, shard_docs: int | None = None, gzip: bool = False
    ) -> None:
        for name, value in (("hits", hits), ("batch", batch)):
            if isinstance(value, bool) or value < 1:
                raise InputError(f"export.{name}={value}: expected at least 1")
        self.hits, self.batch, self.layout = hits, batch, Layout(shard_docs, gzip).checked()

    def write_documents(
        self,
        folder: Path,
        documents: Documents,
        words: Sequence[str],  # noqa: ARG002
    ) -> Written:
        """Write ``collection.json`` and ``points.ndjson`` into ``folder``."""
        coming = Count(documents)
        n_texts = self.layout.write_files(folder, "points", ".ndjson", coming, self._requests, self.resuming)
        write_json(folder / COLLECTION, {"sparse_vectors": {VECTOR: {"index": {"on_disk": False}}}})
        return Written(n_texts, coming.n_empty)

    def search(self, vector: Vector) -> tuple[dict[str, Any], float]:
        """The body of a query request."""
        return {"query": sparse(vector), "using": VECTOR, "limit": self.hits, "with_payload": True}, 1.0

    def query_entry(self, path: Path, line: int, query_id: str, body: Any, scale: float, vocab_size: int) -> Entry:  # noqa: ARG002
        """The query of a line."""
        return self._entry("query", path, line, query_id, None if body is None else body["query"], vocab_size)

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        put = "curl -sS -X PUT -H 'Content-Type: application/json'"
        cat, end = ("zcat", ".ndjson.gz") if self.layout.gzip else ("cat", ".ndjson")
        return {
            "quantization": "none: float32",
            "load": [
                f"{put} -d @{COLLECTION} $URL/collections/splade",
                f"{cat} points*{end} | while read -r body; do "
                f'{put} -d @- "$URL/collections/splade/points?wait=true" <<< "$body"; done',
                steps_for_queries("$URL/collections/splade/points/query"),
            ],
            "scores": "ours, but for the order in which float32 numbers are added; exact",
        }

    def _requests(self, documents: Iterator[Numbered]) -> Iterator[str]:
        while points := [self._point(document) for document in islice(documents, self.batch)]:
            yield json_line({"points": points}) + "\n"

    def _point(self, document: Numbered) -> dict[str, Any]:
        vector = {VECTOR: sparse(document.vector)} if len(document.vector.columns) else {}
        return {"id": document.number, "vector": vector, "payload": {"doc_id": document.vector.id}}

    def document_entries(self, folder: Path, vocab_size: int) -> Iterator[Entry]:
        """The documents of ``points.ndjson``."""
        number = 0
        for path, line, text in self.layout.read(folder, "points", ".ndjson"):
            for point in parse_line(path, line, text, ("points",))["points"]:
                if point["id"] != number:
                    raise InputError.at(path, line, f"expected the point {number}, found {point['id']}")
                doc_id = point["payload"]["doc_id"]
                yield self._entry("document", path, line, doc_id, point["vector"].get(VECTOR), vocab_size)
                number += 1

    def _entry(self, side: str, path: Path, line: int, text_id: str, found: Any, vocab_size: int) -> Entry:
        columns, weights = ([], []) if found is None else (found["indices"], found["values"])
        if found is not None and (not columns or len(columns) != len(weights) or len(set(columns)) < len(columns)):
            raise InputError.at(path, line, "expected as many values as indices, which are all different")
        for term, weight in zip(columns, weights, strict=True):
            if type(term) is not int or not 0 <= term < vocab_size:
                raise InputError.at(path, line, f"{term!r} is no term id below {vocab_size}")
            check_weight(path, line, term, weight)
        return kept_entry(self, side, text_id, columns, np.array(weights, np.float32))


def sparse(vector: Vector) -> dict[str, list[Any]]:
    """A vector as two lists."""
    return {"indices": vector.columns.tolist(), "values": rounded(vector.weights)}
