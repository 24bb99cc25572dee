"""This project's index and searcher."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, shared
from benchmarks.search.vectors import Vectors
from splade import InvertedIndex, Searcher
from splade.indexing import IndexBuilder
from splade.records import SparseBatch, SparseRows

MEMORY_MB = 1024  # that the builder may take for vectors and merging
FEW = 1000  # documents that are enough to compile


class Ours(Engine):
    """One strategy, the whole batch in one call, or with ``single`` a call per query.

    ``uniform`` gives all weights of the documents the value 1; without ``cluster`` documents stay in their order.
    """

    package = "splade"

    def __init__(
        self,
        strategy: str,
        weights: str = "float32",
        *,
        threads: int | None = None,
        single: bool = False,
        cluster: bool | None = None,
        uniform: bool = False,
        **options: Any,
    ) -> None:
        shown = [f"{key}={value}" for key, value in options.items()]
        kept = [weights] * (weights != "float32")
        self.name = " ".join(["splade", *kept, strategy, *shown, *["query by query"] * single])
        self.index = f"splade-{weights}" + "-in-order" * (cluster is False) + "-uniform" * uniform
        self.strategy, self.options, self.threads, self.single = strategy, options, threads, single
        self.layout: dict[str, Any] = {"weights": weights} | ({} if cluster is None else {"cluster": cluster})
        self.uniform = uniform

    def prepare(self, vectors: Vectors, inputs: Path) -> None:
        """Compile, which is done once after an installation: index a few documents."""
        layout = self.layout | {"cluster": True, "n_threads": 2}
        builder = IndexBuilder(inputs, vectors.vocab_size, memory_mb=MEMORY_MB, **layout)
        builder.add(_batch(0, vectors.rows(0, min(FEW, vectors.n_docs)), self.uniform))
        builder.finish()

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        layout = self.layout | {"n_threads": n_threads}
        builder = IndexBuilder(folder, vectors.vocab_size, memory_mb=MEMORY_MB, **layout)
        for first, rows in vectors.parts():
            builder.add(_batch(first, rows, self.uniform))
        builder.finish()

    def open(self, folder: Path) -> float:
        start = time.perf_counter()
        index = InvertedIndex.open(folder, verify=False)
        seconds = time.perf_counter() - start
        self.searcher = Searcher(index, self.strategy, **self.options)
        return seconds

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        asked = [queries[q] for q in range(queries.shape[0])] if self.single else [queries]
        start = self.clock()
        answers = [self.searcher.search_csr(part, k, n_threads=self.threads or 1)[0] for part in asked]
        spent = self.clock() - start
        docs = np.concatenate(answers)
        return docs.astype(np.int64), shared(spent, queries.shape[0])


def _batch(first: int, rows: sp.csr_matrix, uniform: bool) -> SparseBatch:
    """Documents whose ids are their numbers from ``first``."""
    ids = tuple(str(doc) for doc in range(first, first + rows.shape[0]))
    weights = np.ones_like(rows.data) if uniform else rows.data
    sparse = SparseRows(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), weights)
    return SparseBatch(ids, sparse, rows.shape[1])
