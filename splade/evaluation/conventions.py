"""The conventions that a figure rests on, as settings: each is printed and kept with the result.

Self-matches: on ArguAna and Quora queries are documents of the collection, and finding itself is no feat. What
published figures do differs, so whether a result whose document id equals the query id counts is a named policy.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from splade.evaluation.metrics import OURS, TIES, TREC_EVAL
from splade.records import Ranking, Run

MTEB_SETS = frozenset({"arguana", "fever", "fiqa", "msmarco", "quora"})

# Policy: the data sets on which self-matches are dropped; None stands for every one.
POLICIES: dict[str, frozenset[str] | None] = {
    "beir": None,
    "arguana_quora": frozenset({"arguana", "quora"}),
    "mteb": MTEB_SETS,
    "off": frozenset(),
}

_IN_WORDS = {
    "beir": "dropped on every set, as BEIR does",
    "arguana_quora": "dropped on ArguAna and Quora only",
    "mteb": "dropped where MTEB's retrieval tasks drop them (ArguAna, FEVER, FiQA, MS MARCO, Quora)",
    "off": "kept",
}


UNANSWERED = {"count_0": "count 0", "left_out": "left out"}


class Conventions(NamedTuple):
    """The rules of an evaluation. ValueError, from `checked`, for a rule that there is not."""

    self_matches: str = "off"  # a name of POLICIES
    ties: str = OURS  # a name of splade.evaluation.metrics.TIES
    unanswered: str = "count_0"  # judged queries without results: count_0 or left_out
    relevance_level: int = 1  # the lowest grade that counts as relevant for binary metrics

    def checked(self) -> "Conventions":
        """Return these rules; ValueError names the first that is unknown, and what is accepted."""
        _sets(self.self_matches)
        if self.ties not in TIES:
            raise ValueError(f"unknown tie rule {self.ties!r}; accepted: {', '.join(TIES)}")
        if self.unanswered not in UNANSWERED:
            raise ValueError(f"unknown rule for unanswered queries {self.unanswered!r}; accepted: count_0, left_out")
        if not isinstance(self.relevance_level, int) or self.relevance_level < 1:
            raise ValueError(f"relevance_level must be a whole number of at least 1, got {self.relevance_level!r}")
        return self

    @property
    def answered_only(self) -> bool:
        """True where unanswered queries are left out of the average."""
        return self.unanswered == "left_out"

    def told(self, written: str = "as written") -> dict[str, Any]:
        """The rules as they are kept with a result; ``written`` is the order that a run was written in for ties."""
        return {
            "unanswered": UNANSWERED[self.unanswered],
            "ties": TREC_EVAL if self.ties == TREC_EVAL else written,
            "self_matches": describe(self.self_matches),
            "relevance_level": self.relevance_level,
        }

    def sentence(self) -> str:
        """The rules in words."""
        ties = "as trec_eval has them" if self.ties == TREC_EVAL else "in the order written"
        return (
            f"{describe(self.self_matches)}; ties {ties}; unanswered queries {UNANSWERED[self.unanswered]}; "
            f"relevant from grade {self.relevance_level} on"
        )


class SelfMatches:
    """Drops self-matches of one data set where its policy says so; ``dropped`` names their queries, in order."""

    def __init__(self, policy: str, dataset: str) -> None:
        self.policy, self.dataset = policy, dataset
        self.drops = drops_self_matches(policy, dataset)
        self.dropped: list[str] = []

    def depth(self, k: int) -> int:
        """Return the number of results to search for so that ``k`` are left."""
        return k + self.drops

    def of_rankings(self, rankings: Iterable[Ranking], k: int) -> Iterator[Ranking]:
        """The rankings with at most ``k`` results, without self-matches."""
        for ranking in rankings:
            if self.drops and ranking.query_id in ranking.doc_ids[: k + 1]:
                self.dropped.append(ranking.query_id)
            yield from drop_self_matches([ranking], k, self.policy, self.dataset)

    def of_run(self, run: Run) -> Run:
        """``run`` without self-matches."""
        found = [query_id for query_id, results in run.items() if self.drops and query_id in results]
        self.dropped += found
        return run | {
            query_id: {doc_id: score for doc_id, score in run[query_id].items() if doc_id != query_id}
            for query_id in found
        }


def drops_self_matches(policy: str, dataset: str) -> bool:
    """True where ``policy`` drops self-matches on ``dataset`` (``arguana``, ``beir/arguana``, any case)."""
    return (sets := _sets(policy)) is None or dataset.lower().removeprefix("beir/").split("/")[0] in sets


def search_depth(k: int, policy: str, dataset: str) -> int:
    """Return the number of results to search for so that ``k`` are left: k, or k + 1 where one may be dropped."""
    return k + drops_self_matches(policy, dataset)


def drop_self_matches(
    rankings: Iterable[Ranking], k: int, policy: str = "beir", dataset: str = ""
) -> Iterator[Ranking]:
    """The rankings with at most ``k`` results, without self-matches where ``policy`` drops them."""
    drop = drops_self_matches(policy, dataset)
    for ranking in rankings:
        keep = [
            place for place, doc_id in enumerate(ranking.doc_ids[: k + 1]) if not (drop and doc_id == ranking.query_id)
        ][:k]
        yield Ranking(ranking.query_id, [ranking.doc_ids[place] for place in keep], ranking.scores[keep])


def describe(policy: str) -> str:
    """The policy in words, to print with a result."""
    _sets(policy)
    return f"self-matches {_IN_WORDS[policy]} ({policy})"


def _sets(policy: str) -> frozenset[str] | None:
    if policy not in POLICIES:
        raise ValueError(f"unknown self-match policy {policy!r}; accepted: {', '.join(POLICIES)}")
    return POLICIES[policy]
