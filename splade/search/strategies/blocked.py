"""The exact strategies over the blocked layout: `Exhaustive`, `BlockMax`, and `Auto`, which chooses."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from splade.indexing import InvertedIndex
from splade.kernels.block_max import BOUND, CHOOSE, STREAM, Scratch, new_scratch, pool_size, search_all
from splade.kernels.compiled import machine_code, read_only
from splade.kernels.plan import KEPT
from splade.search.strategies.work import Work

DOCS_PER_RESULT = 256
LENGTHS = 33  # bit lengths of a uint32


class Blocked:
    """The base of strategies over blocks. Scratch memory is kept for later calls, as many as ever ran at once."""

    def __init__(self, index: InvertedIndex) -> None:
        self._blocks = index.blocks
        self._shares = read_only(np.ones(LENGTHS, np.float32))
        self._free: list[Scratch] = []
        self._memories: dict[int, NDArray[np.int64]] = {}  # by bit length of k; threads may overwrite each other's
        self._search: Callable[..., None] | None = None

    def __call__(self, work: Work) -> None:
        """Fill ``keys`` and ``counts``, as `search_all` says."""
        self._run(work, self.shares(work.k))

    def _run(self, work: Work, shares: NDArray[np.float32]) -> None:
        queries, first, last, k, floor, allowed, keys, counts = work
        scratch, plan = self._take_scratch(k, work.longest), self.plan(k)
        memory = self._memories.setdefault(k.bit_length(), np.zeros((LENGTHS, KEPT), np.int64))
        arguments = (
            self._blocks, queries, first, last, k, floor, allowed, plan, shares, memory, scratch, keys, counts,
        )  # fmt: skip
        if self._search is None:
            self._search = machine_code(search_all, *arguments)
        self._search(*arguments)
        self._free.append(scratch)

    def shares(self, k: int) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the factors that multiply bounds, by bit length of the number of query terms: 1, since exact."""
        return self._shares

    def plan(self, k: int) -> int:  # noqa: ARG002
        """Return the plan for `search_all`: to look at the bounds of blocks in any case."""
        return BOUND

    def _take_scratch(self, k: int, longest: int) -> Scratch:
        """Scratch memory that no other thread has; to be put back when the kernel has left it as it was."""
        try:
            kept = self._free.pop()
        except IndexError:
            return new_scratch(self._blocks, k, max(longest, 128))
        fits = len(kept.units) >= longest and len(kept.pool) == pool_size(k)
        return kept if fits else new_scratch(self._blocks, k, max(longest, 128))


class Exhaustive(Blocked):
    """Scores every document that shares a term with the query; its time grows with the postings touched."""

    def plan(self, k: int) -> int:  # noqa: ARG002
        """Never."""
        return STREAM


class BlockMax(Blocked):
    """Leaves out blocks of documents that cannot be among the best (`splade.kernels.block_max`)."""


class Auto(Blocked):
    """Exact search by whichever of the two is faster.

    Bounds pay when few blocks can hold one of the k best: not in a small collection, not where k is a large
    share of it, and not where they cost much beside the postings. In between, `BlockMax` itself goes over to
    scoring all where that is cheaper, before much is lost (`splade.kernels.plan`).
    """

    def plan(self, k: int) -> int:
        """By cost, unless k is more than a 256th of the documents."""
        return STREAM if k * DOCS_PER_RESULT > int(self._blocks.n_docs) else CHOOSE
