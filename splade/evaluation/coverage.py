"""Comparing the queries and documents of a run with those of its relevance judgments (qrels)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from splade.evaluation.metrics import OURS, ordered
from splade.files import InputError
from splade.records import Qrels, Run


class Coverage(NamedTuple):
    """Counts that say how much of the qrels a metric rests on."""

    judged: int  # queries of the qrels: the averages are over these
    answered: int  # of those, with at least one result
    absent: int  # of those, whose id the run does not hold
    unjudged: int  # queries of the run that the qrels do not hold
    judged_at_10: float  # share of the ten best results of answered queries that are judged

    def sentence(self, answered_only: bool = False) -> str:
        """The counts in words; ``answered_only`` where queries without results are left out."""
        text = f"{self.judged} judged queries, {self.answered} answered"
        if self.judged > self.answered:
            they = "are left out" if answered_only else "count 0"
            text += f", {self.judged - self.answered} without results (they {they}; {self.absent} not in the run)"
        if self.unjudged:
            text += f"; {self.unjudged} queries of the run are not judged and left out"
        return f"{text}; {self.judged_at_10:.0%} of the ten best results are judged"


def coverage(run: Run, qrels: Qrels, ties: str = OURS) -> Coverage:
    """Compare the ids of a run with those of qrels; ``ties`` is the rule that tells the ten best results.

    Raises InputError where they share no query: the two are of different collections or splits.
    """
    shared = qrels.keys() & run.keys()
    if not shared:
        raise InputError(
            f"the run and the qrels share no query: the run has {_some(run)}, the qrels have {_some(qrels)}. "
            "They must be of the same collection and split"
        )
    answered = [query_id for query_id in qrels if run.get(query_id)]
    best = [(query_id, doc_id) for query_id in answered for doc_id in ordered(run[query_id], ties)[:10]]
    found = sum(doc_id in qrels[query_id] for query_id, doc_id in best)
    return Coverage(
        judged=len(qrels),
        answered=len(answered),
        absent=len(qrels) - len(shared),
        unjudged=len(run) - len(shared),
        judged_at_10=found / len(best) if best else 0.0,
    )


def unknown_documents(qrels: Qrels, unknown: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """The judged document ids, sorted, of which ``unknown`` says that they are not in the index."""
    return unknown(sorted({doc_id for grades in qrels.values() for doc_id in grades}))


def relevant_self_matches(qrels: Qrels, relevance_level: int = 1) -> list[str]:
    """The queries that are judged relevant to themselves: by a rule that drops self-matches, these are lost."""
    return [query_id for query_id, grades in qrels.items() if grades.get(query_id, 0) >= relevance_level]


def _some(ids: dict[str, dict[str, float]] | Qrels) -> str:
    few = ", ".join(repr(query_id) for query_id in list(ids)[:3])
    return f"{len(ids)} queries ({few}{', …' if len(ids) > 3 else ''})" if ids else "no queries"
