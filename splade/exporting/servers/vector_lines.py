"""Vectors in lines of JSON whose keys are term ids: numbered documents out, checked vectors in, and queries."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.rest.bodies import json_object
from splade.exporting.lines import json_line, parse_line
from splade.exporting.target import Documents, FileTarget, Written
from splade.exporting.vectors import Entry, Vector, batches, vectors
from splade.files import InputError, text_lines, whole_file
from splade.records import SparseBatch

QUERIES = "queries.jsonl"


class Numbered(NamedTuple):
    """A document with its number in the collection."""

    number: int
    vector: Vector


class Count:
    """Documents one by one on their way into files, those without terms counted in ``n_empty``."""

    def __init__(self, documents: Documents, check: Callable[[SparseBatch], None] | None = None) -> None:
        self.documents, self.check = documents, check
        self.n_empty = 0

    def __iter__(self) -> Iterator[Numbered]:
        number = 0
        for batch, _ in self.documents:
            if self.check is not None:
                self.check(batch)
            for vector in vectors(batch):
                self.n_empty += not len(vector.columns)
                yield Numbered(number, vector)
                number += 1


class ServerFiles(FileTarget):
    """The `FileTarget` of a server: documents in files of its own form, and ``queries.jsonl``.

    A subclass writes documents, and says how one of them is read, and what a query's search is.
    """

    def search(self, vector: Vector) -> tuple[dict[str, Any], float]:
        """The body that searches for a query with terms, and the number that its scores are divided by."""
        raise NotImplementedError

    def query_entry(self, path: Path, line: int, query_id: str, body: Any, scale: float, vocab_size: int) -> Entry:
        """The query of a line of ``queries.jsonl``; ``body`` is what `search` gave, None for one without terms."""
        raise NotImplementedError

    def document_entries(self, folder: Path, vocab_size: int) -> Iterator[Entry]:
        """The documents of the files in ``folder``; InputError with file and line for what the server refuses."""
        raise NotImplementedError

    def write_queries(
        self,
        folder: Path,
        queries: Iterable[SparseBatch],
        words: Sequence[str],  # noqa: ARG002
    ) -> Written:
        """Write ``queries.jsonl`` into ``folder``: on each line ``id``, ``search`` (a body) and ``scale``.

        The two are null for a query without terms, which servers refuse: it finds nothing.
        """
        n_texts = n_empty = 0
        with whole_file(folder / QUERIES) as stream:
            for batch in queries:
                for vector in vectors(batch):
                    empty = not len(vector.columns)
                    body, scale = (None, None) if empty else self.search(vector)
                    stream.write(json_line({"id": vector.id, "scale": scale, "search": body}) + "\n")
                    n_texts, n_empty = n_texts + 1, n_empty + empty
        return Written(n_texts, n_empty)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of the files."""
        return batches(self.document_entries(folder, len(words)), len(words))

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.jsonl``."""
        lines = read_query_lines(folder)
        return batches((self.query_entry(*line, vocab_size=len(words)) for line in lines), len(words))


def refuse_long_ids(batch: SparseBatch, longest: int, taker: str) -> None:
    """InputError for an id of more than ``longest`` bytes; ``taker`` takes no longer ones."""
    for text_id in batch.ids:
        if len(text_id) > longest // 4 and len(text_id.encode()) > longest:
            raise InputError(f"document {text_id[:50]!r}…: {taker} at most {longest} bytes")


def json_vector(vector: Vector) -> str:
    """A vector as `splade.engines.places.rest.bodies.json_object`."""
    return json_object(vector.columns.tolist(), vector.weights.tolist())


def rounded(weights: NDArray[np.float32]) -> list[float]:
    """The weights as numbers of at most nine digits, which are read as the same float32."""
    return [float(f"{weight:.9g}") for weight in weights.tolist()]


def parsed(path: Path, line: int, vector: Any, vocab_size: int) -> tuple[list[int], NDArray[np.float32]]:
    """Terms and weights of an object; InputError with file and line for what no server takes."""
    if not isinstance(vector, dict):
        raise InputError.at(path, line, f"{vector!r} is no object from term id to weight")
    for key, weight in vector.items():
        if not (key.isascii() and key.isdigit() and str(int(key)) == key and int(key) < vocab_size):
            raise InputError.at(path, line, f"{key!r} is no term id below {vocab_size}")
        check_weight(path, line, key, weight)
    return [int(key) for key in vector], np.array(list(vector.values()), np.float32)


def check_weight(path: Path, line: int, key: Any, weight: Any) -> None:
    """InputError with file and line for a weight that is no number above 0."""
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= np.finfo(np.float32).max:
        raise InputError.at(path, line, f"the weight of term {key} is {weight!r}, not a number above 0")


def kept_entry(target: FileTarget, side: str, text_id: Any, columns: list[int], weights: NDArray[np.float32]) -> Entry:
    """A vector that was read, as the engine of ``target`` has it."""
    kept = target.kept(side, weights)
    there = (kept > 0).tolist()
    return str(text_id), [term for term, stays in zip(columns, there, strict=True) if stays], kept[kept > 0].tolist()


def read_query_lines(folder: Path) -> Iterator[tuple[Path, int, str, Any, float]]:
    """File, line, id, body and scale of each query; the body is None where it has no terms."""
    path = folder / QUERIES
    for line, text in text_lines(path):
        record = parse_line(path, line, text, ("id", "scale", "search"))
        if (record["scale"] is None) != (record["search"] is None):
            raise InputError.at(path, line, "'scale' and 'search' are null together, for a query without terms")
        yield path, line, record["id"], record["search"], 1.0 if record["scale"] is None else record["scale"]


def steps_for_queries(url: str) -> str:
    """The step that sends the searches of ``queries.jsonl`` to ``url``, one by one."""
    return (
        f"jq -c '.search // empty' {QUERIES} | while read -r body; do curl -sS -H 'Content-Type: application/json' "
        f'-d "$body" "{url}"; echo; done   # answers in the order of the lines with a search; divide scores by .scale'
    )
