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

    @property
    def longest(self) -> int:
        """The most terms that one of the queries has, at least 1."""
        if self.last - self.first == 1:  # asked one by one, every microsecond counts
            return max(int(self.queries.offsets[self.last] - self.queries.offsets[self.first]), 1)
        return int(np.diff(self.queries.offsets[self.first : self.last + 1]).max(initial=1))


class Strategy(Protocol):
    """A way to find the best documents. Called from several threads at once.

    Constructed with the index and its own named options; a call fills the ``keys`` (`splade.kernels.topk`) and
    ``counts`` of its `Work`.
    """

    def __call__(self, work: Work) -> None: ...
