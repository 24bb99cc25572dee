"""The recall that a sample of queries lets a search promise: less than was measured, by what a sample can miss.

Each query's recall at a share of the bounds is a number between 0 and 1, and falls with the share. A share is good
for a recall r where two conditions hold. Both are met by share 1, and where one fails at a share it is not asked
for smaller ones:

- The mean of the n recalls, with one more query that finds nothing, is r or more. The mean over samples of
  the recall of a new query is then at least r (Angelopoulos et al., "Conformal Risk Control", 2022, theorem 1).
- The lower bound of the mean is r − SLACK or more. It is the smallest m for which n·KL(mean, m) ≤ ln(1 / DOUBT), with
  KL of two Bernoulli variables: a bound for any numbers between 0 and 1, whatever their distribution
  (Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", 1963, theorem 1).

Recalls of n queries that are all 1 have the lower bound DOUBT^(1 / n): .98 takes 149 queries, .985 takes 199.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

K_GRID = (1, 10, 100, 1000)
GROUPS = 8  # of query length: group g holds queries whose number of terms has g + 1 bits, the last longer ones too
SHARES = np.round(np.arange(100, 28, -2) / 100, 2).astype(np.float32)  # from 1 down
SHAPE = (len(K_GRID), GROUPS, len(SHARES))
DOUBT = 0.05  # chance that the mean of all queries is below the lower bound of the sample's
SLACK = 0.01  # of recall, by which a promise may be missed
ENOUGH = 256  # queries: a group with fewer takes in those of the next shorter ones
MADE_UP = "queries made up from documents"


class Calibration(NamedTuple):
    """The recall of queries at every share of the bounds, for each k of K_GRID and each group of query length."""

    promised: NDArray[np.float32]  # SHAPE: the recall that may be promised; 0 where nothing is known
    measured: NDArray[np.float32]  # SHAPE: the mean over the queries that the promise rests on
    n_own: NDArray[np.int32]  # [GROUPS] queries of the group itself
    n_used: NDArray[np.int32]  # [GROUPS] queries that its promise rests on: some of shorter groups among them
    source: str = MADE_UP
    n_queries: int = 0
    date: str = ""  # of the measurement, ISO; "" for made-up ones, which are the same on any day

    @property
    def said(self) -> str:
        """The words for the queries that it came from."""
        if self.source == MADE_UP:
            return MADE_UP
        return f"{self.n_queries} queries of {self.source}{f' ({self.date})' if self.date else ''}"

    def chosen(self, lowest: int, highest: int, recall: float) -> NDArray[np.int64]:
        """The place in SHARES of each group's smallest share that is good for ``recall``, int64 [GROUPS].

        It is good at every k of K_GRID that encloses [``lowest``, ``highest``]; 0, which is exact, where none is.
        """
        first, last = enclosing(lowest, highest)
        good: NDArray[np.bool_] = np.all(self.promised[first : last + 1] >= recall - 1e-6, axis=0)
        good[:, 0] = True
        return np.asarray(np.logical_and.accumulate(good, axis=1).sum(axis=1) - 1)

    def told(self, recall: float = 0.99) -> dict[str, Any]:
        """An account for people: the queries and, for each k and group with a promise, share and recall."""
        dated = {"date": self.date} if self.date else {}
        shares = {str(k): self.groups_told(k, recall) for k in K_GRID}
        return {"queries": self.source, "n_queries": self.n_queries, **dated, "recall": recall, "k": shares}

    def groups_told(self, k: int, recall: float) -> dict[str, dict[str, Any]]:
        """The account of ``k``: for each group with a promise, share of bounds, recall measured, and queries."""
        number = K_GRID.index(k)
        return {
            terms_said(group): {
                "share": round(float(SHARES[share]), 2),
                "measured": round(float(self.measured[number, group, share]), 4),
                "queries": int(self.n_own[group]),
                "queries_used": int(self.n_used[group]),
            }
            for group, share in enumerate(self.chosen(k, k, recall))
            if share > 0
        }

    def lines(self, recall: float = 0.99) -> Iterator[str]:
        """The same as lines of text."""
        for k in K_GRID:
            told = self.groups_told(k, recall)
            for terms, row in told.items():
                shorter = row["queries_used"] - row["queries"]
                yield (
                    f"k = {k}, {terms}: share {row['share']:.2f} of bounds, recall {row['measured']:.4f} measured on "
                    f"{row['queries']} queries{f' and {shorter} shorter ones' if shorter > 0 else ''}"
                )
            if len(told) < GROUPS:
                yield f"k = {k}, {'other queries' if told else 'all queries'}: exact, to have a recall of {recall:g}"


def enclosing(lowest: int, highest: int) -> tuple[int, int]:
    """The places in K_GRID of the largest k up to ``lowest`` and of the smallest from ``highest`` on.

    ``highest`` is at most the largest of K_GRID.
    """
    first = max(number for number, k in enumerate(K_GRID) if k <= lowest)
    last = min(number for number, k in enumerate(K_GRID) if k >= highest)
    return first, last


def terms_said(group: int) -> str:
    """The numbers of terms of a group of query length, in words."""
    low, high = 1 << group, (2 << group) - 1
    if group == GROUPS - 1:
        return f"{low} terms and more"
    return f"{low} term" if low == high else f"{low} to {high} terms"


def summed_up(found: Mapping[tuple[int, int], NDArray[np.float64]], **source: Any) -> Calibration:
    """The calibration of recalls float64 [queries, SHARES], by k and group; ``source`` says where they come from.

    A group with fewer than ENOUGH queries takes in the next shorter groups, since shorter queries find less at an
    equal share: their bounds are nearer to scores. The mean of its own queries, if it has any, limits the
    promise besides.
    """
    promised, measured = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    n_own, n_used = np.zeros(GROUPS, np.int32), np.zeros(GROUPS, np.int32)
    nothing = np.zeros((0, len(SHARES)))
    for number, k in enumerate(K_GRID):
        rows = nothing
        for group in range(GROUPS):
            own = found.get((k, group), nothing)
            rows = own if len(own) >= ENOUGH else np.concatenate([own, rows])
            if len(rows):
                mean = rows.mean(axis=0)
                limit = own.mean(axis=0) if len(own) else np.ones(len(SHARES))
                promised[number, group] = np.minimum(promise(mean, len(rows)), limit)
                measured[number, group] = mean
            n_own[group] = max(n_own[group], len(own))
            n_used[group] = max(n_used[group], len(rows))
    promised[:, :, 0] = measured[:, :, 0] = 1
    return Calibration(np.minimum.accumulate(promised, axis=2), measured, n_own, n_used, **source)


def promise(mean: NDArray[np.float64], n_queries: int) -> NDArray[np.float64]:
    """The recall that means of ``n_queries`` recalls let one promise, as the opening of this module says."""
    with_a_miss = mean * n_queries / (n_queries + 1)
    return np.minimum(with_a_miss, lower_bound(mean, n_queries) + SLACK)


def lower_bound(mean: NDArray[np.float64], n_queries: int, doubt: float = DOUBT) -> NDArray[np.float64]:
    """The smallest m with n_queries·KL(mean, m) ≤ ln(1 / doubt); by halving, to 1e-9, rounded down."""
    limit = math.log(1 / doubt) / n_queries
    low, high = np.zeros_like(mean), np.array(mean, np.float64)
    for _ in range(30):
        middle = (low + high) / 2
        near = divergence(mean, middle) <= limit
        low, high = np.where(near, low, middle), np.where(near, middle, high)
    return low


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(p, q) of Bernoulli variables in nats, with 0·ln 0 = 0; infinite where q excludes what p allows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(p > 0, p * np.log(p / q), 0.0)
        miss = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    return np.asarray(hit + miss)


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Calibration | None:
    """The calibration that a build stored; None where there is none, or one of an earlier version.

    Those were measured on queries made of documents' heavier terms alone, which find more than real ones.
    """
    names = ("calibration", "calibration_measured", "calibration_queries")
    if any(name not in arrays for name in names) or any(arrays[name].size != np.prod(SHAPE) for name in names[:2]):
        return None
    promised, measured, queries = (np.array(arrays[name]) for name in names)
    if queries.size != 2 * GROUPS:
        return None
    n_own, n_used = queries.reshape(2, GROUPS)
    return Calibration(promised.reshape(SHAPE), measured.reshape(SHAPE), n_own, n_used, n_queries=int(n_own.sum()))


def to_arrays(made: Calibration) -> dict[str, NDArray[Any]]:
    """Its flat arrays by the names under which they are stored."""
    return {
        "calibration": made.promised.reshape(-1),
        "calibration_measured": made.measured.reshape(-1),
        "calibration_queries": np.concatenate([made.n_own, made.n_used]).astype(np.int32),
    }
