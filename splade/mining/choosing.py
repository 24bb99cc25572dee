"""Choosing a query's negatives, documents that do not answer it, from its ranking."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from splade.data.examples.false_negatives import FalseNegatives
from splade.data.score_files.negatives import iterate_scores
from splade.records import Qrels, Ranking

Positives = Mapping[str, Collection[str]]
"""The documents that answer each query."""


class Ranks(NamedTuple):
    """``n_top`` of the first ``top`` ranks, and ``n_deep`` of the other ranks down to ``depth``.

    If there are more documents than wanted, they are drawn by a function of ``seed`` and the query's id; order, batch
    and threads do not change the draw.
    """

    top: int = 50
    n_top: int = 50
    depth: int = 1000
    n_deep: int = 50
    seed: int = 0

    def check(self) -> None:
        """ValueError for ranks that cannot be taken."""
        for name in ("top", "n_top", "n_deep"):
            if getattr(self, name) < 0:
                raise ValueError(f"config.mining.{name} must be at least 0, got {getattr(self, name)}")
        if self.depth < max(self.top, 1):
            raise ValueError(f"config.mining.depth={self.depth} must be at least config.mining.top={self.top}, and 1")
        if self.n_top > self.top:
            raise ValueError(f"config.mining.n_top={self.n_top} negatives of config.mining.top={self.top} ranks")
        if self.n_top + self.n_deep < 1:
            raise ValueError("config.mining.n_top and config.mining.n_deep are both 0: nothing would be mined")

    def of(self, n: int, query_id: str) -> list[int]:
        """Places among ``n`` candidates, best first."""
        rng = np.random.default_rng((self.seed, _number(query_id)))
        first = min(n, self.top)
        chosen = _draw(range(first), self.n_top, rng)
        left = sorted(set(range(n)) - set(chosen))
        return sorted(chosen + _draw(left, self.n_deep, rng))


class Chooser:
    """Negatives from rankings: never a positive, nor one of the ``false`` negatives, which are looked up by query."""

    def __init__(self, ranks: Ranks, positives: Positives, false: Positives | None = None) -> None:
        ranks.check()
        self.ranks, self.positives, self.false = ranks, positives, false or {}

    def choose(self, ranking: Ranking) -> tuple[dict[str, float], Counter[str]]:
        """The negatives with the scores of the ranking, best first; and counts for the statistics."""
        positives, false = self.positives.get(ranking.query_id, ()), self.false.get(ranking.query_id, ())
        ids, scores = list(ranking.doc_ids)[: self.ranks.depth], ranking.scores[: self.ranks.depth]
        places = [place for place, id in enumerate(ids) if id not in positives and id not in false]
        chosen = [places[i] for i in self.ranks.of(len(places), ranking.query_id)]
        found = sum(id in positives for id in ids)
        counts = Counter(
            queries=1,
            positives=len(positives),
            positives_found=found,
            false_negatives=len(ids) - len(places) - found,
            negatives=len(chosen),
            queries_without_negatives=int(not chosen),
            queries_with_fewer_negatives=int(len(chosen) < self.ranks.n_top + self.ranks.n_deep),
        )
        return {ids[place]: float(str(scores[place])) for place in chosen}, counts


def positives_of(qrels: Qrels) -> dict[str, frozenset[str]]:
    """The documents judged above 0, of the queries that have one."""
    found = {query: frozenset(id for id, grade in grades.items() if grade > 0) for query, grades in qrels.items()}
    return {query: ids for query, ids in found.items() if ids}


def false_negatives(path: str | Path, positives: Positives, rule: FalseNegatives) -> dict[str, set[str]]:
    """The false negatives by the scores of a file, for the queries that have any. Memory: these alone."""
    found = {query: rule.among(scores, positives.get(query, ())) for query, scores in iterate_scores(path)}
    return {query: ids for query, ids in found.items() if ids}


def _draw(places: Sequence[int], wanted: int, rng: np.random.Generator) -> list[int]:
    if wanted >= len(places):
        return list(places)
    return [places[i] for i in rng.choice(len(places), wanted, replace=False).tolist()]


def _number(query_id: str) -> int:
    """A number of 128 bits for an id, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(query_id.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "little")
