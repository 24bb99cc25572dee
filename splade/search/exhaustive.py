"""The strategy that scores every document that shares a term with the query: exact, the reference."""

import numpy as np
from numpy.typing import NDArray

from splade.indexing import InvertedIndex
from splade.kernels.compiled import read_only_rows
from splade.kernels.exhaustive import score_all
from splade.records import SparseRows


class Exhaustive:
    """Exact search over the float32 postings; its time grows with the postings a query touches.

    ``range_docs`` documents are scored at a time; their scores, 4 bytes each, should fit into the
    processor's second-level cache. It changes no result.
    """

    def __init__(self, index: InvertedIndex, *, range_docs: int = 65536) -> None:
        if range_docs < 1:
            raise ValueError(f"range_docs must be at least 1, got {range_docs}")
        self._postings = read_only_rows(index.postings)
        self._n_docs = index.n_docs
        self._range_docs = int(range_docs)

    def __call__(
        self,
        queries: SparseRows,
        first: int,
        last: int,
        k: int,
        floor: np.uint32,
        allowed: NDArray[np.uint8],
        keys: NDArray[np.uint64],
    ) -> None:
        """Fill ``keys`` [last - first, k] for queries ``first`` to ``last``, as `score_all` says."""
        score_all(self._postings, queries, first, last, self._n_docs, k, floor, allowed, self._range_docs, keys)
