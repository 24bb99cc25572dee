"""Exact search over dense vectors: every inner product, a block of documents at a time, and the best of each query."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from splade.dense.index import DenseIndex, refuse_not_finite
from splade.files import InputError
from splade.records import Ranking
from splade.search.strategies.filters import Allowed, bitmap_of

QUERIES = 32  # that one product takes at most; between products Ctrl-C is heard
HELD = 1 << 24  # results that `search` holds at a time, but for those of a few queries
BLOCK = 16 << 20  # bytes of documents in float32 in one product
SIGN, LAST = np.uint32(1 << 31), np.uint64(0xFFFFFFFF)


class DenseSearcher:
    """Finds the documents of ``index`` with the largest inner products with a query; all are computed, in float32.

    Memory: a block of documents and its products with 32 queries, for each thread. Has no state of its own.
    """

    strategy = "dense_exact"

    def __init__(self, index: DenseIndex) -> None:
        self.index = index
        self._rows = max(1, BLOCK // (4 * max(index.width, 1)))

    def search(
        self,
        ids: Sequence[str],
        queries: NDArray[np.float32],
        k: int = 10,
        n_threads: int = 1,
        threshold: float = -np.inf,
        allowed: Allowed | None = None,
    ) -> Iterator[Ranking]:
        """A `Ranking` per row of ``queries`` [Q, D], in order: best first, ties by document number.

        Only scores above ``threshold`` count. ``allowed`` as for :meth:`splade.search.Searcher.search`. InputError for
        vectors of another width or unknown documents, ValueError for the rest.
        """
        self._check(queries, k, n_threads, threshold)
        size = QUERIES * max(1, HELD // QUERIES // max(min(k, self.index.n_docs), 1))
        for start in range(0, len(queries), size):
            docs, scores = self._best(queries[start : start + size], k, n_threads, threshold, allowed)
            for query_id, found, values in zip(ids[start : start + size], docs, scores, strict=True):
                n = int(np.count_nonzero(found >= 0))
                yield Ranking(query_id, self.index.doc_ids.take(found[:n]), values[:n])

    def best(
        self,
        queries: NDArray[np.float32],
        k: int = 10,
        n_threads: int = 1,
        threshold: float = -np.inf,
        allowed: Allowed | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As `search`: document numbers and scores [Q, k]; slots that stay unfilled hold -1 and 0."""
        docs, scores = self._best(queries, k, n_threads, threshold, allowed)
        unfilled = ((0, 0), (0, k - docs.shape[1]))  # there are no more documents
        return np.pad(docs, unfilled, constant_values=-1), np.pad(scores, unfilled)

    def _best(
        self, queries: NDArray[np.float32], k: int, n_threads: int, threshold: float, allowed: Allowed | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As `best`, with at most one slot per document."""
        self._check(queries, k, n_threads, threshold)
        bitmap = None if allowed is None else bitmap_of(self.index, allowed).astype(bool)
        shape = len(queries), min(k, self.index.n_docs)
        docs, scores = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)

        def task(first: int) -> None:
            keys = self._keys(queries[first : first + QUERIES], k, threshold, bitmap)
            for row, own in enumerate(keys, first):
                docs[row, : len(own)], scores[row, : len(own)] = _decoded(own)

        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(task, range(0, len(queries), QUERIES)))
        return docs, scores

    def _keys(
        self, queries: NDArray[np.float32], k: int, threshold: float, bitmap: NDArray[np.bool_] | None
    ) -> list[NDArray[np.uint64]]:
        """The keys of each query's best ``k`` documents, best first."""
        best = [np.empty(0, np.uint64) for _ in queries]
        bars = np.full(len(queries), threshold, np.float32)
        for first in range(0, self.index.n_docs, self._rows):
            block = self.index.vectors[first : first + self._rows].astype(np.float32, copy=False)
            with np.errstate(over="ignore", invalid="ignore"):  # said below
                products = queries @ block.T  # [Q, documents]
            self._refuse_overflow(products, first)
            wanted = (
                (products > bars[:, None])
                if bitmap is None
                else (products > bars[:, None]) & bitmap[first : first + len(block)]
            )  # of documents as good as the bar those met before come first
            for row, flags in enumerate(wanted):
                found = np.flatnonzero(flags)
                if len(found):
                    best[row] = _largest(np.concatenate([best[row], _encoded(products[row, found], found + first)]), k)
                    if len(best[row]) == k:
                        bars[row] = _decoded(best[row][-1:])[1][0]
        return best

    def _refuse_overflow(self, products: NDArray[np.float32], first: int) -> None:
        """InputError where a product is infinite, or no number since two infinite ones met in it."""
        finite = np.isfinite(products)
        if not finite.all():
            doc = first + int(np.flatnonzero(~finite.all(axis=0))[0])
            raise InputError(
                f"the product of a query and document {self.index.doc_ids[doc]!r} is beyond "
                f"{np.finfo(np.float32).max:.2g}, the largest float32. Scale the vectors down"
            )

    def _check(self, queries: NDArray[np.float32], k: int, n_threads: int, threshold: float) -> None:
        if k < 1 or n_threads < 1 or np.isnan(threshold):
            raise ValueError(
                f"k and n_threads must be at least 1 and threshold a number, got {k}, {n_threads} and {threshold}"
            )
        if queries.ndim != 2 or queries.shape[1] != self.index.width:
            raise InputError(
                f"queries of shape {list(queries.shape)} cannot search vectors of {self.index.width} numbers: encode "
                "them with the model that encoded the documents"
            )
        refuse_not_finite(queries)


def _encoded(scores: NDArray[np.float32], docs: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Keys that are larger for a larger score and, of equal scores, for a smaller document number."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0 becomes 0
    ordered = np.where(bits & SIGN, ~bits, bits | SIGN)
    return (ordered.astype(np.uint64) << np.uint64(32)) | (LAST - docs.astype(np.uint64))


def _decoded(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered & SIGN, ordered & ~SIGN, ~ordered).astype(np.uint32)
    return (LAST - (keys & LAST)).astype(np.int32), bits.view(np.float32)


def _largest(keys: NDArray[np.uint64], k: int) -> NDArray[np.uint64]:
    """The ``k`` largest keys, in decreasing order."""
    if len(keys) > k:
        keys = np.partition(keys, len(keys) - k)[len(keys) - k :]
    return np.sort(keys)[::-1]
