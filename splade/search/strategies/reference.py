"""The strategy that every other is held to: plain postings, no layout, few lines."""

from splade.indexing import InvertedIndex
from splade.kernels.compiled import read_only_rows
from splade.kernels.reference import score_all
from splade.search.strategies.work import Work


class Reference:
    """Exact search over the plain postings, for checking the others, which are faster.

    ``range_docs`` documents are scored at a time; their scores, 4 bytes each, should fit into the
    processor's second-level cache. It changes no result.
    """

    def __init__(self, index: InvertedIndex, *, range_docs: int = 65536) -> None:
        if range_docs < 1:
            raise ValueError(f"range_docs must be at least 1, got {range_docs}")
        self._postings = read_only_rows(index.postings)
        self._n_docs = index.n_docs
        self._range_docs = int(range_docs)

    def __call__(self, work: Work) -> None:
        """Fill ``keys``, as `score_all` says; there are no counts."""
        queries, first, last, k, floor, allowed, keys, counts = work
        counts[:] = -1
        score_all(self._postings, queries, first, last, self._n_docs, k, floor, allowed, self._range_docs, keys)
