"""Approximate search: the bounds of blocks are taken for less than they are, as far as recall allows."""

import logging
import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.indexing.layout.calibration import DOCUMENTS, calibrate
from splade.indexing.layout.promise import GROUPS, K_GRID, SHARES, Calibration, enclosing, terms_said
from splade.kernels.block_max import STREAM
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import from_matrix
from splade.records import SparseRows
from splade.search.strategies.blocked import LENGTHS, Auto
from splade.search.strategies.work import Work

logger = logging.getLogger(__name__)

REMEDY = "Calibrate with (more) queries like those that come: python -m splade.calibrate, or the argument queries="


class Choice(NamedTuple):
    """The shares for one k, and the queries for which none is known."""

    shares: NDArray[np.float32]  # [LENGTHS] by bit length of the number of query terms
    groups: dict[int, tuple[float, float]]  # share and measured recall, by the upper end of the group
    exact: NDArray[np.bool_] | None  # [LENGTHS] where no share below 1 keeps the recall, so that the search is exact


class Approximate(Auto):
    """Block-max search that finds at least the share ``recall`` of the k best documents, on average.

    A block is left out when a share of its bound is below the bar. The share is the smallest that keeps the
    recall by a calibration, for each k and each length of query; less is promised than was measured, by what a
    sample can miss (`splade.indexing.layout.promise`). The calibration is made with ``queries``, a matrix like those
    searched. Without it, it is the one that `splade.indexing.calibrate_stored` stored with the index; or that of the
    build; or made at the first search, on queries made up from documents by ``seed``.

    Between two k that were tried, the larger of their shares holds. With ``allowed`` documents or a ``threshold``,
    the largest share of all k that this may amount to holds. Beyond the largest k tried, and for lengths of query that
    the calibration cannot speak for, the search is exact, and a warning says so once. With a recall of 1, and where
    bounds do not pay, it is exact too.

    ``calibration(k)`` returns the share chosen and the recall measured, ``told(k)`` also the queries they come from.
    """

    def __init__(self, index: InvertedIndex, *, recall: float = 0.99, queries: Any = None, seed: int = 0) -> None:
        super().__init__(index)
        if not 0 < recall <= 1:
            raise ValueError(f"recall must be above 0 and at most 1, got {recall}")
        self.recall = recall
        self._given: SparseRows | None = None
        if queries is not None:
            given = from_matrix(queries, index.vocab_size)
            if given.n_columns not in (None, index.vocab_size):
                raise InputError(f"queries over {given.n_columns} terms cannot calibrate {index.vocab_size} terms")
            self._given = read_only_rows(given.rows)
        self._index, self._seed = index, seed
        self._measured: Calibration | None = None
        self._chosen: dict[tuple[int, int], Choice] = {}
        self._warned: set[tuple[int, int]] = set()  # places in K_GRID
        self._lock = threading.Lock()

    def __call__(self, work: Work) -> None:
        """Fill ``keys`` and ``counts``, as `search_all` says."""
        if self.recall == 1 or self.plan(work.k) == STREAM:
            self._run(work, self._shares)
            return
        ranks = _ranks(work, int(self._blocks.n_docs))
        choice = self._choice(*ranks)
        if choice.exact is not None:
            self._warn(work, ranks, choice.exact)
        self._run(work, choice.shares)

    def shares(self, k: int) -> NDArray[np.float32]:
        """The share of a bound that counts, by bit length of the number of query terms."""
        return self._shares if self._is_exact(k) else self._choice(k, k).shares

    def calibration(self, k: int) -> dict[int, tuple[float, float]]:
        """The share chosen and the recall measured on the sample, by query length (the upper end of its group)."""
        return {} if self._is_exact(k) else self._choice(k, k).groups

    def told(self, k: int) -> dict[str, Any]:
        """An account: the queries of the calibration, and by query length share, recall and number of queries."""
        if self._is_exact(k):
            return {"k": k, "recall": self.recall, "exact": True}
        made, groups = self._known(), self.calibration(k)
        rows = {
            terms_said(group): {
                "share": share, "measured": measured, "queries": int(made.n_own[group]),
                "queries_used": int(made.n_used[group]),
            }
            for group, (share, measured) in enumerate(groups.values())
        }  # fmt: skip
        return {"k": k, "recall": self.recall, "exact": False, "calibrated_on": made.said, "groups": rows}

    def _is_exact(self, k: int) -> bool:
        return self.recall == 1 or k > K_GRID[-1] or self.plan(k) == STREAM

    def _choice(self, lowest: int, highest: int) -> Choice:
        """The choice that is good at every k from ``lowest`` to ``highest``."""
        if highest > K_GRID[-1]:
            return Choice(self._shares, {}, np.ones(LENGTHS, np.bool_))
        places = enclosing(lowest, highest)
        if places not in self._chosen:
            made = self._known()
            with self._lock:
                if places not in self._chosen:
                    self._chosen[places] = self._from(made, K_GRID[places[0]], K_GRID[places[1]])
        return self._chosen[places]

    def _from(self, made: Calibration, lowest: int, highest: int) -> Choice:
        first, last = enclosing(lowest, highest)
        chosen = made.chosen(lowest, highest, self.recall)
        shares, exact = np.ones(LENGTHS, np.float32), np.zeros(LENGTHS, np.bool_)
        shares[1 : GROUPS + 1], shares[GROUPS + 1 :] = SHARES[chosen], SHARES[chosen[-1]]
        exact[1:] = shares[1:] == 1
        recall = made.measured[first : last + 1].min(axis=0)
        groups = {(2 << g) - 1: (float(SHARES[s]), float(recall[g, s])) for g, s in enumerate(chosen)}
        between = f"k = {lowest}" if lowest == highest else f"k from {lowest} to {highest}"
        logger.info("approximate, recall %g, %s: calibrated on %s", self.recall, between, made.said)
        for group, (share, measured) in enumerate(groups.values()):
            if share < 1:
                logger.info(
                    "%s: share %.2f of bounds, recall %.4f measured on %d queries",
                    terms_said(group), share, measured, made.n_used[group],
                )  # fmt: skip
        return Choice(read_only(shares), groups, exact if exact.any() else None)

    def _warn(self, work: Work, ranks: tuple[int, int], exact: NDArray[np.bool_]) -> None:
        """Say once for each k that some queries of ``work`` are searched exactly, which ones, and why."""
        highest = ranks[1]
        beyond = highest > K_GRID[-1]
        places = (len(K_GRID), len(K_GRID)) if beyond else enclosing(*ranks)
        if places in self._warned:
            return
        lengths = np.diff(work.queries.offsets[work.first : work.last + 1])
        if not exact[np.frexp(lengths.astype(np.float64))[1]].any():
            return
        with self._lock:
            if places in self._warned:
                return
            self._warned.add(places)
        if beyond:
            why = f"of the {highest} best documents, of which more are needed than the {K_GRID[-1]} tried"
            why += f" (k = {work.k}{', and few documents are allowed' if work.allowed.size else ''})"
            remedy = "Ask for fewer"
        else:
            lengths_said = _said(np.flatnonzero(exact[1 : GROUPS + 1]).tolist())
            why = f"for queries of {lengths_said} at k = {work.k} ({self._known().said})"
            remedy = REMEDY
        logger.warning(
            "approximate: no share of bounds is known to keep a recall of %g %s. They are searched exactly (as by "
            "auto). %s", self.recall, why, remedy,
        )  # fmt: skip

    def _known(self) -> Calibration:
        with self._lock:
            self._measured = self._measured or self._measure()
            return self._measured

    def _measure(self) -> Calibration:
        if self._given is not None:
            return calibrate(self._blocks, queries=self._given, seed=self._seed, source="the argument queries")
        if self._index.calibration is not None:
            return self._index.calibration
        if "calibration" in self._index.arrays:
            logger.info(
                "%s: calibrated by an earlier version, which promised too much; measured anew, for this process. Build "
                "the index again, or calibrate it, to keep it", self._index.path,
            )  # fmt: skip
        n_docs = self._index.n_docs
        drawn = np.sort(np.random.default_rng(self._seed).choice(n_docs, min(DOCUMENTS, n_docs), replace=False))
        return calibrate(self._blocks, read_only_rows(self._index.vectors(drawn)), seed=self._seed)


def _said(groups: list[int]) -> str:
    """The numbers of terms of groups of query length, neighbours together: "1 to 7 and 64 to 127 terms"."""
    runs: list[tuple[int, int]] = []
    for group in groups:
        joins = runs and runs[-1][1] == group - 1
        runs[-1:] = [(runs[-1][0], group)] if joins else [*runs[-1:], (group, group)]
    spans = [f"{1 << first} {'and more' if last == GROUPS - 1 else f'to {(2 << last) - 1}'}" for first, last in runs]
    return f"{' and '.join(spans)} terms"


def _ranks(work: Work, n_docs: int) -> tuple[int, int]:
    """The fewest and the most of all documents that ``work`` may ask the best of.

    A threshold may leave fewer than k. Where a part of all documents is allowed, the k best of these are found as
    often among more, in inverse proportion to their share.
    """
    lowest = 1 if work.floor else work.k
    if not work.allowed.size:
        return lowest, work.k
    n_allowed = max(int(np.count_nonzero(work.allowed.view(np.bool_))), 1)
    return lowest, -(-work.k * n_docs // n_allowed)
