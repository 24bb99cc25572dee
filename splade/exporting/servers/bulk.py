"""Files for OpenSearch and Elasticsearch: an index's body, bulk lines, and searches; those that the engines send."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from splade.engines.places.rest.bodies import document_lines, index_body, search_body
from splade.engines.places.rest.feature_field import LARGEST_QUERY, SMALLEST
from splade.engines.places.rest.forms import FIELD, NUMBER, Form
from splade.exporting.lines import Layout, parse_line
from splade.exporting.servers.vector_lines import (
    Count,
    Numbered,
    ServerFiles,
    check_weight,
    kept_entry,
    parsed,
    refuse_long_ids,
    steps_for_queries,
)
from splade.exporting.target import Documents, Observed, Written
from splade.exporting.vectors import Entry, Vector
from splade.files import InputError, read_json, write_json
from splade.records import SparseBatch, SparseRows

INDEX, DOC_ID = "index.json", "doc_id"
LONGEST = 32766  # bytes of a keyword that Lucene keeps
AT_ONCE = 2000  # lines of a request, for half as many documents


class Bulk(ServerFiles):
    """The `FileTarget` of ``index.json``, ``docs.ndjson`` and ``queries.jsonl``, for a kind of field.

    ``index.json`` makes the index. A document's ``_id`` is its number, and ``doc_id`` its id. ``hits`` documents are
    asked for by each search. ``shard_docs`` and ``gzip`` as in `splade.exporting.lines.Layout`.
    """

    form: Form

    def __init__(self, form: Form, hits: int, layout: Layout) -> None:
        if isinstance(hits, bool) or not 1 <= hits <= 10_000:
            raise InputError(f"export.hits={hits}: expected 1 to 10000, which a server returns at most")
        self.form, self.hits, self.layout = form, hits, layout.checked()

    def prepare(self, observed: Observed) -> None:
        """Take the largest weight for the ceiling of the field, where it has one."""
        self.form = self.form.fitted("", observed.largest or None)

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``index.json`` and ``docs.ndjson`` into ``folder``."""
        coming = Count(documents, self._check)
        n_texts = self.layout.write(folder, "docs", ".ndjson", coming, _lines, self.resuming)
        fields = {DOC_ID: {"type": "keyword"}}
        write_json(folder / INDEX, index_body(self.form, {}, {"terms": len(words)}, **fields))
        return Written(n_texts, coming.n_empty)

    def search(self, vector: Vector) -> tuple[dict[str, Any], float]:
        """The search body of a query, as the engine sends it."""
        body, scale = search_body(self.form, _rows(vector), 0, self.hits, (DOC_ID,))
        return body, scale

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of ``docs.ndjson``; InputError for another index than these documents need."""
        found = read_json(folder / INDEX)["mappings"]["properties"][FIELD]
        if found != self.form.mapping():
            raise InputError(f"{folder / INDEX}: the field {FIELD!r} is not that of these documents. Export again")
        return super().read_documents(folder, words)

    def query_entry(self, path: Path, line: int, query_id: str, body: Any, scale: float, vocab_size: int) -> Entry:
        """The query of a line; InputError for weights that servers refuse."""
        tokens = {} if body is None else self.tokens(body["query"])
        columns, weights = parsed(path, line, tokens, vocab_size)
        if (weights > LARGEST_QUERY).any():
            raise InputError.at(path, line, f"a weight of {weights.max()}; servers take {LARGEST_QUERY:g}")
        return kept_entry(self, "query", query_id, columns, weights / np.float32(scale))

    def tokens(self, query: Any) -> dict[str, float]:
        """The weights by token of a query."""
        raise NotImplementedError

    def quantization(self) -> str:
        """The words for what is kept of documents' weights."""
        return str(self.form.facts()["quantization"])

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        cat, end = ("zcat", ".ndjson.gz") if self.layout.gzip else ("cat", ".ndjson")
        send = "curl -sS -H 'Content-Type: application/x-ndjson' --data-binary @- $URL/$INDEX/_bulk | jq .errors"
        return {
            "quantization": f"{self.quantization()}; the files have float32",
            "load": [
                f"curl -sS -X PUT -H 'Content-Type: application/json' -d @{INDEX} $URL/$INDEX",
                f'{cat} docs*{end} | split -l {AT_ONCE} --filter="{send}"   # true where documents were refused',
                "curl -sS -X POST $URL/$INDEX/_refresh",
                steps_for_queries("$URL/$INDEX/_search"),
            ],
            "scores": f"ours on the weights that are kept, divided by a query's scale; {self.form.facts()['strategy']}",
        }

    def _check(self, batch: SparseBatch) -> None:
        self.form.check(batch)
        refuse_long_ids(batch, LONGEST, "a keyword has")

    def document_entries(self, folder: Path, vocab_size: int) -> Iterator[Entry]:
        """The documents of ``docs.ndjson``."""
        lines = self.layout.read(folder, "docs", ".ndjson")
        for number, (path, line, text) in enumerate(lines):
            action = parse_line(path, line, text, ("index",))
            if action != {"index": {"_id": str(number)}}:
                raise InputError.at(path, line, f"expected the action of document {number}, found {text[:80]}")
            path, line, text = next(lines, (path, line + 1, "null"))  # the line after the action
            record = parse_line(path, line, text, (NUMBER, DOC_ID))
            if record.keys() - {NUMBER, DOC_ID, FIELD} or record[NUMBER] != number:
                raise InputError.at(path, line, f"expected {NUMBER} {number}, {DOC_ID} and {FIELD}")
            columns, weights = parsed(path, line, record.get(FIELD, {}), vocab_size)
            for term, weight in zip(columns, weights.tolist(), strict=True):
                check_weight(path, line, term, weight if weight >= SMALLEST else 0)
            yield kept_entry(self, "document", record[DOC_ID], columns, weights)


def _lines(document: Numbered) -> Iterator[str]:
    batch = SparseBatch((document.vector.id,), _rows(document.vector), 0)
    ((_, lines),) = document_lines(document.number, batch, with_ids=True)
    yield lines.decode().rstrip("\n")


def _rows(vector: Vector) -> SparseRows:
    return SparseRows(np.array([0, len(vector.columns)]), vector.columns, vector.weights)
