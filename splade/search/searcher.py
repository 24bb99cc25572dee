"""Queries in, rankings out: batches, threads, thresholds and filters, for every strategy."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files.dotted import is_dotted
from splade.indexing import Index, InvertedIndex
from splade.indexing.index.query_rows import query_rows
from splade.kernels.compiled import read_only_rows
from splade.kernels.sparse import slice_rows
from splade.kernels.topk import decode, score_bits
from splade.records import Ranking, SparseBatch, SparseRows
from splade.search.strategies.approximate import Approximate
from splade.search.strategies.blocked import Auto, BlockMax, Exhaustive
from splade.search.strategies.filters import Allowed, bitmap_of
from splade.search.strategies.in_parts import InParts
from splade.search.strategies.own import own_strategy
from splade.search.strategies.reference import Reference
from splade.search.strategies.two_step import TwoStep
from splade.search.strategies.work import Strategy, Work

TASK = 32  # queries at most that one thread takes at a time; between tasks Ctrl-C is heard
TASKS_PER_THREAD = 16  # so that none waits long for the last task of another
BATCH = 1024  # queries whose results are held at a time by `search`, at most
HELD = 1 << 24  # results that it holds at a time, at most, but for those of one query


STRATEGIES: dict[str, Any] = {
    "auto": Auto,
    "exhaustive": Exhaustive,
    "block_max": BlockMax,
    "approximate": Approximate,
    "two_step": TwoStep,
    "reference": Reference,
}


def check_strategy(strategy: str, options: Mapping[str, Any]) -> Any:
    """Return the strategy called ``strategy``; ValueError where there is none, or it takes other ``options``.

    A name with a dot in it is the dotted path of a class of the user's own.
    """
    if strategy not in STRATEGIES and not is_dotted(strategy):
        names = ", ".join(STRATEGIES)
        raise ValueError(f"strategy must be one of {names}, or the dotted path of a class, got {strategy!r}")
    chosen = STRATEGIES[strategy] if strategy in STRATEGIES else own_strategy(strategy)
    known = list(inspect.signature(chosen).parameters)[1:]
    unknown = sorted(options.keys() - set(known))
    if unknown:
        takes = f"takes the options {', '.join(known)}" if known else "takes no options"
        raise ValueError(f"strategy {strategy!r} {takes}, got {unknown[0]!r}")
    return chosen


class Counts(NamedTuple):
    """The work that each query took, int64 [Q] each; -1 where the strategy does not count."""

    blocks: NDArray[np.int64]  # blocks of documents scored without all others of their range
    ranges: NDArray[np.int64]  # ranges of documents scored as a whole
    postings: NDArray[np.int64]  # postings added up


class Searcher:
    """Finds the documents of an index with the largest inner products with a query.

    ``strategy`` is a name of ``STRATEGIES``, or the dotted path of a class as `Strategy` describes it; ``options`` are
    the strategy's own. A searcher has no state of its own: one may serve any number of threads.
    """

    def __init__(self, index: Index, strategy: str = "auto", **options: Any) -> None:
        chosen = check_strategy(strategy, options)
        self.index, self.strategy, self.options = index, strategy, options
        self.strategy_object: Strategy = (
            chosen(index, **options) if isinstance(index, InvertedIndex) else InParts(index, chosen, **options)
        )

    def search_csr(
        self, queries: Any, k: int = 10, n_threads: int = 1, threshold: float = 0.0, allowed: Allowed | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Document numbers and scores, int32 and float32 [Q, k], best first, ties by document number.

        ``queries`` is a CSR matrix [Q, vocab_size] as SciPy's, or `SparseRows`, or a `SparseBatch`.
        Only scores strictly above ``threshold`` (compared as float32, at least 0) count; slots that
        stay unfilled hold -1 and 0. ``allowed`` restricts the search to some documents: a boolean
        per document, document numbers, or string ids, in an array, a list or a set. InputError
        for another vocabulary or unknown documents, ValueError for the rest.
        """
        rows = self._checked(queries, k, n_threads, threshold)
        docs, scores, _ = self._search(rows, k, n_threads, threshold, bitmap_of(self.index, allowed))
        if docs.shape[1] == k:
            return docs, scores
        unfilled = ((0, 0), (0, k - docs.shape[1]))  # there are no more documents
        return np.pad(docs, unfilled, constant_values=-1), np.pad(scores, unfilled)

    def count(
        self, queries: Any, k: int = 10, n_threads: int = 1, threshold: float = 0.0, allowed: Allowed | None = None
    ) -> Counts:
        """Answer the queries and return the work that each took; arguments as for `search_csr`."""
        rows = self._checked(queries, k, n_threads, threshold)
        return Counts(*self._search(rows, k, n_threads, threshold, bitmap_of(self.index, allowed))[2].T)

    def search(
        self,
        batch: SparseBatch,
        k: int = 10,
        n_threads: int = 1,
        threshold: float = 0.0,
        allowed: Allowed | None = None,
    ) -> Iterator[Ranking]:
        """A `Ranking` per query, in order; arguments as for `search_csr`, checked before this returns."""
        rows = self._checked(batch, k, n_threads, threshold)
        bitmap = bitmap_of(self.index, allowed)
        return self._rankings(batch.ids, rows, k, n_threads, threshold, bitmap)

    def _rankings(
        self, ids: Sequence[str], rows: SparseRows, k: int, n_threads: int, threshold: float, bitmap: NDArray[np.uint8]
    ) -> Iterator[Ranking]:
        size = max(1, min(BATCH, HELD // max(min(k, self.index.n_docs), 1)))
        for start in range(0, len(ids), size):
            part = read_only_rows(slice_rows(rows, start, min(start + size, len(ids))))
            docs, scores, _ = self._search(part, k, n_threads, threshold, bitmap)
            for query_id, found, values in zip(ids[start : start + size], docs, scores, strict=True):
                n = int(np.count_nonzero(found >= 0))
                yield Ranking(query_id, self.index.doc_ids.take(found[:n]), values[:n])

    def _search(
        self, rows: SparseRows, k: int, n_threads: int, threshold: float, allowed: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Documents and scores [Q, k or the number of documents, whichever is less], and counts [Q, 3]."""
        n_queries, room = len(rows.offsets) - 1, min(k, self.index.n_docs)
        docs = np.full((n_queries, room), -1, np.int32)
        scores = np.zeros((n_queries, room), np.float32)
        counts = np.zeros((n_queries, 3), np.int64)
        if room == 0:
            return docs, scores, counts

        def task(first: int) -> None:
            last = min(first + size, n_queries)
            keys = np.zeros((last - first, room), np.uint64)
            self.strategy_object(Work(rows, first, last, room, floor, allowed, keys, counts[first:last]))
            keys.sort(axis=1)
            docs[first:last], scores[first:last] = decode(keys[:, ::-1])

        floor = score_bits(threshold)
        size = max(1, min(TASK, -(-n_queries // (TASKS_PER_THREAD * n_threads))))
        starts = range(0, n_queries, size)
        if n_threads == 1 or len(starts) == 1:
            for first in starts:
                task(first)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(task, starts))
        return docs, scores, counts

    def _checked(self, queries: Any, k: int, n_threads: int, threshold: float) -> SparseRows:
        if k < 1 or n_threads < 1:
            raise ValueError(f"k and n_threads must be at least 1, got k={k} and n_threads={n_threads}")
        if not 0 <= threshold < np.inf:
            raise ValueError(
                f"threshold must be 0 or more, got {threshold}: a document without a term of the query has score 0 "
                "and is never returned"
            )
        return read_only_rows(query_rows(queries, self.index.vocab_size))
