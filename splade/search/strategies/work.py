"""The work that a searcher asks of a strategy in one call."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.records import SparseRows


class Work(NamedTuple):
    """Queries ``first`` to ``last`` of some, and the arrays that their answers go into."""

    queries: SparseRows
    first: int
    last: int
    k: int  # at least 1, at most the number of documents
    floor: np.uint32  # the bits of the score to exceed
    allowed: NDArray[np.uint8]  # empty, or a 0 for each document to leave out
    keys: NDArray[np.uint64]  # [last - first, k] of zeros; receives the best documents, in no order
    counts: NDArray[np.int64]  # [last - first, 3] of zeros; receives what `Counts` holds

    def keep(self, query: int, scores: NDArray[np.float32]) -> None:
        """Keep the best documents of ``query``, a number from ``first`` on, by the ``scores`` [n_docs] of all of them.

        Those that are not allowed, and those whose score does not exceed ``floor``, are left out; of equal scores the
        smaller document number is better. For strategies in plain NumPy: 8 bytes a document.
        """
        bits = np.maximum(scores, 0).astype(np.float32).view(np.uint32)
        docs = np.flatnonzero(bits > self.floor)
        if self.allowed.size:
            docs = docs[self.allowed[docs] != 0]
        keys = (bits[docs].astype(np.uint64) << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - docs.astype(np.uint64))
        best = np.sort(keys)[::-1][: self.k]
        self.keys[query - self.first, : len(best)] = best

    @property
    def longest(self) -> int:
        """The most terms that one of the queries has, at least 1."""
        if self.last - self.first == 1:  # asked one by one, every microsecond counts
            return max(int(self.queries.offsets[self.last] - self.queries.offsets[self.first]), 1)
        return int(np.diff(self.queries.offsets[self.first : self.last + 1]).max(initial=1))


class Strategy(Protocol):
    """A way to find the best documents. Called from several threads at once.

    Constructed with an `InvertedIndex` (of an index of several parts, with each of them) and its own named options. A
    call fills the ``keys`` (`splade.kernels.topk`; `Work.keep` does it from scores) and ``counts`` of its `Work`; a
    strategy that counts nothing writes -1 into these. `splade.conformance.check_strategy` holds a class to it.
    """

    def __call__(self, work: Work) -> None: ...
