"""Judges: one query's ranks against its grades, by pytrec_eval if that is safe.

trec_eval counts grades in an array as long as the highest one. A query without a positive grade makes it write
outside of that array, a high grade costs memory, and nDCG takes the square of that in time. So it is given 1, 0
and −1 for the binary measures, grades up to ``HIGHEST`` for nDCG, and only queries with something relevant. nDCG
over higher grades is computed here.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral

import pytrec_eval

from splade.data.qrels import LARGEST_GRADE
from splade.evaluation.names import Metric
from splade.files import InputError
from splade.records import Qrels

HIGHEST = 100  # grade given to pytrec_eval
GRADED = ("ndcg", "ndcg_cut")  # measures that tell positive grades apart

Grades = Mapping[str, int]
Ranks = Mapping[str, float]  # strictly decreasing whole numbers, the last of them 1


class BinaryJudge:
    """The measures that only ask whether a document is relevant: judged ``level`` or above."""

    def __init__(self, qrels: Qrels, metrics: Sequence[Metric], level: int) -> None:
        judged = {query_id: _relevant_or_not(grades, level) for query_id, grades in qrels.items()}
        self._evaluator = _Evaluator(judged, metrics)

    def figures(self, query_id: str, ranks: Ranks) -> dict[str, float]:
        """The measures by pytrec_eval's names; empty where no document of the query is relevant."""
        return self._evaluator.figures(query_id, ranks)


class GradedJudge:
    """nDCG, whose gain is the grade itself; documents judged 0 or less gain nothing."""

    def __init__(self, qrels: Qrels, metrics: Sequence[Metric]) -> None:
        self._high = {query_id: grades for query_id, grades in qrels.items() if max(grades.values()) > HIGHEST}
        low = {query_id: _from_minus_one(grades) for query_id, grades in qrels.items() if query_id not in self._high}
        self._cuts = {_needed(metric): metric.cut for metric in metrics}
        self._evaluator = _Evaluator(low, metrics)

    def figures(self, query_id: str, ranks: Ranks) -> dict[str, float]:
        """nDCG by pytrec_eval's names; empty where no grade of the query is positive."""
        if query_id not in self._high:
            return self._evaluator.figures(query_id, ranks)
        grades = self._high[query_id]
        return {name.replace(".", "_"): ndcg(grades, ranks, cut) for name, cut in self._cuts.items()}


class _Evaluator:
    """pytrec_eval over the queries for which it is safe: those with a grade of at least 1."""

    def __init__(self, judged: Mapping[str, Grades], metrics: Sequence[Metric]) -> None:
        self._judged = {query_id: grades for query_id, grades in judged.items() if max(grades.values()) >= 1}
        measures = {name for metric in metrics for name in _needs(metric)}
        self._evaluator = pytrec_eval.RelevanceEvaluator(self._judged, measures) if self._judged else None

    def figures(self, query_id: str, ranks: Ranks) -> dict[str, float]:
        if self._evaluator is None or query_id not in self._judged:
            return {}
        measured: dict[str, float] = self._evaluator.evaluate({query_id: ranks})[query_id]
        return measured


def judges_of(
    qrels: Qrels, metrics: Sequence[Metric], level: int
) -> list[tuple[list[Metric], BinaryJudge | GradedJudge]]:
    """The metrics in groups, each with its judge. ``level`` holds for metrics without one of their own.

    A group measures one ranking: the whole one, or that of judged documents.

    Queries without a single judgement are in no judge. Raises InputError, naming query and document, for a grade
    that is no whole number or above ``LARGEST_GRADE``.
    """
    judged = {query_id: grades for query_id, grades in qrels.items() if grades}
    for query_id, grades in judged.items():
        _refuse_grades(query_id, grades)
        refuse_unspeakable(query_id, grades)
    groups: dict[tuple[int | None, bool], list[Metric]] = {}
    for metric in metrics:
        at = None if metric.measure in GRADED else metric.level or level
        groups.setdefault((at, metric.judged_only), []).append(metric)
    return [
        (group, GradedJudge(judged, group) if at is None else BinaryJudge(judged, group, at))
        for (at, _), group in groups.items()
    ]


def ndcg(grades: Grades, ranks: Ranks, cut: int | None = None) -> float:
    """nDCG with linear gain, as trec_eval has it, of the whole ranking or its first ``cut`` results."""
    gains = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:cut]
    found = sorted((len(ranks) - int(ranks[doc]), grade) for doc, grade in grades.items() if grade > 0 and doc in ranks)
    ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    gained = sum(gain / math.log2(place + 2) for place, gain in found if cut is None or place < cut)
    return gained / ideal if ideal else 0.0


def refuse_unspeakable(query_id: str, doc_ids: Mapping[str, object]) -> None:
    """InputError for ids that trec_eval, written in C, cannot hold: half of a character, or the character NUL."""
    for name in (query_id, *doc_ids) if not _speakable("".join((query_id, *doc_ids))) else ():
        if not _speakable(name):
            raise InputError(f"query {query_id!a}: the id {name!a} holds half of a character or NUL; rename it")


def _speakable(text: str) -> bool:
    try:
        return b"\0" not in text.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _refuse_grades(query_id: str, grades: Grades) -> None:
    for doc_id, grade in grades.items():
        if not isinstance(grade, Integral) or grade > LARGEST_GRADE:
            raise InputError(
                f"the grade of document {doc_id!r} for query {query_id!r} is {grade!r}; it must be a whole number of "
                f"at most {LARGEST_GRADE}"
            )


def _relevant_or_not(grades: Grades, level: int) -> dict[str, int]:
    """1 from ``level`` on, 0 below it, −1 (judged, but not pooled: bpref leaves it out) below 0."""
    return {doc_id: 1 if grade >= level else 0 if grade >= 0 else -1 for doc_id, grade in grades.items()}


def _from_minus_one(grades: Grades) -> dict[str, int]:
    return {doc_id: max(int(grade), -1) for doc_id, grade in grades.items()}


def _needs(metric: Metric) -> set[str]:
    if metric.measure == "mrr":
        return {"recip_rank"}
    if metric.measure == "recall_cap":
        return {f"P.{metric.cut}", "num_rel"}
    return {_needed(metric)}


def _needed(metric: Metric) -> str:
    return metric.measure if metric.cut is None else f"{metric.measure}.{metric.cut}"
