"""Documents for BMP (Block-Max Pruning): a CIFF file of 8-bit impacts, neighbours alike; queries in 32 steps."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.lines import json_line, parse_line
from splade.exporting.postings.ciff import read_documents, write_documents
from splade.exporting.postings.ciff_reading import CiffReader
from splade.exporting.postings.impacts import Impacts
from splade.exporting.postings.whole_queries import QUERIES, checked_impacts
from splade.exporting.target import Documents, FileTarget, Observed, Written
from splade.exporting.vectors import Entry, batches, vectors
from splade.files import InputError, text_lines, whole_file
from splade.records import SparseBatch

DOCUMENTS, LINES = "docs.ciff", "queries.txt"
STEPS = 32  # BMP scales the largest weight of a query to this, and keeps whole numbers
BITS = 8


class Bmp(FileTarget):
    """The `FileTarget` of ``docs.ciff``, ``queries.jsonl`` and ``queries.txt``.

    Impacts are whole numbers up to 255: the largest weight gets 255, or, with ``quantization_factor_document``, weights
    are multiplied by it. ``cluster`` puts documents into an order in which neighbours are alike, so that blocks can be
    left out: null does so from 8192 documents on, true always, false never. ``block_size`` is the number of documents
    in a block, told in the manifest. Memory as in `splade.exporting.postings.transposed`.

    A query's weights are whole numbers up to 32, its largest weight. ``queries.jsonl`` has all queries, with the weight
    that 1 stands for as ``unit``; ``queries.txt`` those that find anything, which ``bmp.search`` reads.
    """

    def __init__(
        self,
        quantization_factor_document: float | None = None,
        cluster: bool | None = None,
        block_size: int = 32,
    ) -> None:
        self.impacts = Impacts(quantization_factor_document, 1, BITS)
        if cluster is not None and not isinstance(cluster, bool):
            raise InputError(f"export.cluster={cluster!r}: expected null, true or false")
        if isinstance(block_size, bool) or not isinstance(block_size, int) or block_size < 1:
            raise InputError(f"export.block_size={block_size!r}: expected a number of documents, at least 1")
        self.cluster, self.block_size = cluster, block_size
        self.reorders = cluster is not False

    def prepare(self, observed: Observed) -> None:
        """Choose the factor of documents."""
        self.impacts.prepare(observed)

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights as whole impacts, in the unit of weights; those of a query are all its weights."""
        if side == "document":
            return self.impacts.kept(side, weights)
        unit = _unit(weights)
        return _weights(_steps(weights, unit), unit)

    def kept_weights(self, side: str, batch: SparseBatch) -> NDArray[np.float32]:
        """As `kept`, query by query."""
        if side == "document":
            return self.kept(side, batch.rows.weights)
        own = [self.kept(side, one.weights) for one in vectors(batch)]
        return np.concatenate([np.zeros(0, np.float32), *own])

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``docs.ciff`` into ``folder``."""
        impacts = self.impacts.batches(documents)
        return write_documents(folder / DOCUMENTS, impacts, words, self.resuming, self.cluster)

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries.jsonl`` and ``queries.txt`` into ``folder``; InputError for an id that BMP would cut."""
        assert self.documents_in is not None, "documents are written before queries"
        with CiffReader(self.documents_in / DOCUMENTS) as reader:
            reader.header()
            known = set(reader.terms())
        n_texts = n_empty = 0
        with whole_file(folder / QUERIES) as stream, whole_file(folder / LINES) as lines:
            for batch in queries:
                for one in vectors(batch):
                    unit = _unit(one.weights)
                    pairs = zip(one.columns.tolist(), _steps(one.weights, unit).tolist(), strict=True)
                    vector = {words[term]: steps for term, steps in pairs if steps}
                    n_texts, n_empty = n_texts + 1, n_empty + (not vector)
                    stream.write(json_line({"id": one.id, "vector": vector, "unit": unit}) + "\n")
                    if any(word in known for word in vector):
                        lines.write(_line(one.id, vector))
        return Written(n_texts, n_empty)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of ``docs.ciff``, in its order."""
        return read_documents(folder / DOCUMENTS, words, self.impacts)

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.jsonl``."""
        numbers, path = {word: number for number, word in enumerate(words)}, folder / QUERIES

        def read() -> Iterator[Entry]:
            for line, text in text_lines(path):
                record = parse_line(path, line, text, ("id", "vector", "unit"))
                checked_impacts(path, line, record["vector"], numbers)
                if max(record["vector"].values(), default=STEPS) > STEPS:
                    raise InputError.at(path, line, f"an impact over {STEPS}, which BMP would change")
                steps = np.array(list(record["vector"].values()), np.int64)
                weights = _weights(steps, record["unit"]).tolist()
                yield record["id"], [numbers[word] for word in record["vector"]], weights

        return batches(read(), len(words))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        size = self.block_size
        return {
            "quantization": f"documents: rint(weight x {self.impacts.document:g}), at most 255; queries: in {STEPS} "
            "steps of their largest weight; impacts of 0 are left out",
            "load": [
                f"python -c \"import bmp; bmp.ciff2bmp('{DOCUMENTS}', 'docs.bmp', {size}, False)\"",
                f"python -c \"import bmp; print(bmp.search('docs.bmp', '{LINES}', 1000, 1.0, 1.0))\" > run.trec",
                "or, query by query: bmp.Searcher('docs.bmp').search(vector, 1000, 1.0, 1.0)",
            ],
            "scores": f"{self.impacts.document:g} / unit times ours, but for rounding, with each query's own unit; "
            "whole numbers",
        }


def _unit(weights: NDArray[np.float32]) -> float:
    return float(weights.max(initial=0)) / STEPS or 1.0


def _steps(weights: NDArray[np.float32], unit: float) -> NDArray[np.int64]:
    return np.rint(weights.astype(np.float64) / unit).astype(np.int64)


def _weights(steps: NDArray[np.int64], unit: float) -> NDArray[np.float32]:
    return (steps * unit).astype(np.float32)


def _line(query_id: str, vector: dict[str, int]) -> str:
    if ":" in query_id or len(query_id.splitlines()) != 1 or query_id != query_id.strip():
        raise InputError(
            f"the query id {query_id!r} has a colon, a line end or space around it; {LINES} has ID:WORD WORD … a "
            "line. Rename it in the queries and the qrels"
        )
    return f"{query_id}:{' '.join(word for word, steps in vector.items() for _ in range(steps))}\n"
