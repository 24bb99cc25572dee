"""Fusion: one ranking of the rankings that several systems give to a query.

A method gives each document of each ranking a share; a document's score is the weighted sum of its shares. A ranking
that does not hold the document adds nothing, nor does a run that does not answer the query. The documents of a run with
the weight 0 are left out. Sums are exact (rounded
once), so the order of the runs changes no score. Results are ordered by score, ties by the better of their best
ranks, and then by document id.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from splade.evaluation.metrics import ordered
from splade.files import InputError
from splade.records import Run


class Fusion(Protocol):
    """A method of fusion."""

    def __call__(self, runs: Sequence[Run]) -> Run:
        """The fused run: the queries of all ``runs`` in the order of their first appearance, results best first."""


class ReciprocalRank:
    """Reciprocal rank fusion: a document's score is ``Σ_i w_i / (k + rank_i)``, ranks from 1.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
    (2009), where k is 60 and there are no weights. Scores are not looked at: the rank is the one in the order of the
    run, in which ties stand as written. ``weights`` (one for each run) default to 1; ``depth`` is the number of results
    of each ranking that count, all by default. ValueError for arguments out of range.
    """

    def __init__(self, k: float = 60.0, weights: Sequence[float] | None = None, depth: int | None = None) -> None:
        if not (k >= 0 and math.isfinite(k)):
            raise ValueError(f"k must be a number of at least 0, got {k}")
        self.k, self.weights, self.depth = float(k), checked_weights(weights), checked_depth(depth)

    def __call__(self, runs: Sequence[Run]) -> Run:
        """The fused run, as `Fusion` has it."""
        return fused(runs, self._shares, self.weights, self.depth)

    def _shares(self, scores: Sequence[float]) -> list[float]:
        return [1.0 / (self.k + rank) for rank in range(1, len(scores) + 1)]


class MinMax:
    """Min-max fusion: a document's score is ``Σ_i w_i (s_i - min_i) / (max_i - min_i)``.

    ``min_i`` and ``max_i`` are the lowest and the highest score of the query's ranking in run i, as far as it counts
    (``depth``). The last document of a ranking thus has the share 0, as one that is not in it. In a ranking whose
    scores are all the same, or of one document, each has the share 1. ``weights`` (one for each run) default to 1,
    which is CombSUM of normalised scores (Fox and Shaw, 1994); ``multiply`` gives CombMNZ, in which the sum is
    multiplied by the number of rankings that hold the document. ValueError for arguments out of range.
    """

    def __init__(
        self, weights: Sequence[float] | None = None, depth: int | None = None, multiply: bool = False
    ) -> None:
        self.weights, self.depth, self.multiply = checked_weights(weights), checked_depth(depth), multiply

    def __call__(self, runs: Sequence[Run]) -> Run:
        """The fused run, as `Fusion` has it."""
        return fused(runs, self._shares, self.weights, self.depth, self.multiply)

    def _shares(self, scores: Sequence[float]) -> list[float]:
        lowest, highest = scores[-1], scores[0]
        if lowest == highest:
            return [1.0] * len(scores)
        if math.isfinite(highest - lowest):
            return [(score - lowest) / (highest - lowest) for score in scores]
        return [(score / 2 - lowest / 2) / (highest / 2 - lowest / 2) for score in scores]


class _Shares(Protocol):
    def __call__(self, scores: Sequence[float]) -> list[float]: ...


def fused(
    runs: Sequence[Run],
    shares: _Shares,
    weights: Sequence[float] | None = None,
    depth: int | None = None,
    multiply: bool = False,
) -> Run:
    """The run in which a document's score is the weighted sum of the shares that ``shares`` gives it.

    ``shares`` takes the scores of a ranking, best first, and is not asked about empty ones. InputError for no runs, and
    for weights that are more or fewer than the runs.
    """
    if not runs:
        raise InputError("there are no runs to fuse")
    if weights is not None and len(weights) != len(runs):
        raise InputError(f"fuse.weights={list(weights)}: {len(weights)} for {len(runs)} runs; give one for each")
    queries = dict.fromkeys(query for run in runs for query in run)
    own = [1.0] * len(runs) if weights is None else list(weights)

    def rankings(query: str) -> list[Mapping[str, float]]:
        return [run.get(query, {}) for run in runs]

    return {query: _fused_query(rankings(query), shares, own, depth, multiply) for query in queries}


def checked_weights(weights: Sequence[float] | None) -> list[float] | None:
    """``weights`` as a list; ValueError where one is negative or no number, or all are 0."""
    if weights is None:
        return None
    found = [float(weight) for weight in weights]
    if not all(weight >= 0 for weight in found) or not any(found) or not math.isfinite(sum(found) * len(found)):
        raise ValueError(f"fuse.weights must be numbers of at least 0, and one of them above, got {found}")
    return found


def checked_depth(depth: int | None) -> int | None:
    """``depth`` itself; ValueError where it is below 1."""
    if depth is not None and depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return depth


def _fused_query(
    rankings: Sequence[Mapping[str, float]],
    shares: _Shares,
    weights: Sequence[float],
    depth: int | None,
    multiply: bool,
) -> dict[str, float]:
    parts: dict[str, list[float]] = {}
    best: dict[str, int] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        found = ordered(ranking)[:depth] if weight else []
        own = shares([ranking[doc_id] for doc_id in found]) if found else []
        for rank, (doc_id, share) in enumerate(zip(found, own, strict=True)):
            parts.setdefault(doc_id, []).append(weight * share)
            best[doc_id] = min(rank, best.get(doc_id, rank))
    scores = {doc_id: math.fsum(each) * (len(each) if multiply else 1) for doc_id, each in parts.items()}
    order = sorted(scores, key=lambda doc_id: (-scores[doc_id], best[doc_id], doc_id))
    return {doc_id: scores[doc_id] for doc_id in order}
