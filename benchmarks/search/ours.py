"""This project's index and searcher."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, Work, shared
from benchmarks.search.vectors import Vectors
from splade import InvertedIndex, Searcher
from splade.indexing import IndexBuilder
from splade.records import SparseBatch, SparseRows
from splade.search.strategies.approximate import Approximate

MEMORY_MB = 1024  # that the builder may take for vectors and merging
FEW = 1000  # documents that are enough to compile
ALONE: dict[str, Any] = {}  # arguments of `Searcher.search_csr` with which queries of one call share no work


class Ours(Engine):
    """One strategy, all queries in one call but each ``alone``; with ``single`` a call per query.

    With ``threads``, queries are a batch that may share work, unless they are ``alone``. ``uniform`` gives all weights
    of the documents the value 1; without ``cluster`` documents stay in their order; blocks have ``block`` documents.
    ``calibration`` are queries to calibrate approximate strategies with.
    """

    package = "splade"
    calibration: sp.csr_matrix | None = None
    _measured: ClassVar[dict[Path, Any]] = {}  # the calibration of an index, for all that is asked of it

    def __init__(
        self,
        strategy: str,
        weights: str = "float32",
        *,
        threads: int | None = None,
        single: bool = False,
        alone: bool | None = None,
        cluster: bool | None = None,
        uniform: bool = False,
        block: int | None = None,
        **options: Any,
    ) -> None:
        shown = [f"{key}={value}" for key, value in options.items()]
        kind = weights if block is None else f"{weights}-{block}"
        kept = [kind] * (kind != "float32")
        shown += ["query by query"] * single + ["each alone"] * (alone is True)
        self.name = " ".join(["splade", *kept, strategy, *shown])
        self.arguments = ALONE if alone or single or (alone is None and threads is None) else {}
        self.index = f"splade-{kind}" + "-in-order" * (cluster is False) + "-uniform" * uniform
        self.strategy, self.options, self.threads, self.single = strategy, options, threads, single
        self.layout: dict[str, Any] = {"weights": weights} | ({} if cluster is None else {"cluster": cluster})
        self.layout |= {} if block is None else {"shape": block}
        self.uniform, self.one_call, self.exact = uniform, not single, strategy != "approximate"

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
        sample = {} if self.exact or self.calibration is None else {"queries": self.calibration}
        self.searcher = Searcher(index, self.strategy, **self.options, **sample)
        if isinstance(self.searcher.strategy_object, Approximate):
            strategy = self.searcher.strategy_object
            if folder not in self._measured:
                self._measured[folder] = strategy._measure()
            strategy._measured = self._measured[folder]
        return seconds

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        asked = [queries[q] for q in range(queries.shape[0])] if self.single else [queries]
        answers, seconds = [], []
        for part in asked:
            start = self.clock()
            answers.append(self.searcher.search_csr(part, k, n_threads=self.threads or 1, **self.arguments)[0])
            seconds.append(self.clock() - start)
        docs = np.concatenate(answers).astype(np.int64)
        return docs, np.array(seconds) if self.single else shared(seconds[0], queries.shape[0])

    def work(self, queries: sp.csr_matrix, k: int) -> Work | None:
        counts, blocks = self.searcher.count(queries, k), self.searcher.index.blocks
        if (counts.postings < 0).any():
            return None
        in_range = 1 << int(blocks.range_bits - blocks.block_bits)  # a range that is scored as a whole is its blocks
        visited = np.minimum(counts.blocks + counts.ranges * in_range, int(blocks.n_blocks))
        return Work(float(visited.mean()), int(blocks.n_blocks), float(counts.postings.mean()))


def _batch(first: int, rows: sp.csr_matrix, uniform: bool) -> SparseBatch:
    """Documents whose ids are their numbers from ``first``."""
    ids = tuple(str(doc) for doc in range(first, first + rows.shape[0]))
    weights = np.ones_like(rows.data) if uniform else rows.data
    sparse = SparseRows(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), weights)
    return SparseBatch(ids, sparse, rows.shape[1])
