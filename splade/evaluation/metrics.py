"""Rankings judged against qrels.

Two conventions are ours. A judged query without results counts 0, because an average over answered
queries rewards a system that gives up on the hard ones. And ties are broken by the order in which a
run was written, which for our own runs is the document number: pytrec_eval would break them by
document id and compare scores in single precision, so it is given ranks in place of scores. Both have
a switch: ``answered_only`` and ``ties``.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from splade.evaluation import other_measures
from splade.evaluation.judges import judges_of, refuse_unspeakable
from splade.evaluation.names import Metric, parse_all
from splade.files import InputError
from splade.records import Qrels, Run

OURS, TREC_EVAL = "ours", "trec_eval"
TIES = (OURS, TREC_EVAL)
"""The rules for equal scores: the order written, or trec_eval's."""


def evaluate(
    run: Run,
    qrels: Qrels,
    metrics: Sequence[str],
    *,
    answered_only: bool = False,
    relevance_level: int = 1,
    ties: str = OURS,
) -> dict[str, float]:
    """The mean of each metric over the judged queries, by the name it was asked by.

    ``answered_only`` averages over the judged queries with at least one result instead. Documents
    judged below ``relevance_level`` are not relevant for the binary metrics (nDCG keeps its graded
    gains). ``ties`` is the rule of `ordered`. Raises ValueError for an unknown metric or rule, InputError where there
    is nothing to average over.
    """
    per_query = evaluate_per_query(
        run, qrels, metrics, answered_only=answered_only, relevance_level=relevance_level, ties=ties
    )
    return means(per_query, answered_only=answered_only)


def means(per_query: Mapping[str, Mapping[str, float]], *, answered_only: bool = False) -> dict[str, float]:
    """The mean of each metric over the queries of `evaluate_per_query`; InputError where there are none."""
    return {key: _mean(values, answered_only) for key, values in per_query.items()}


def evaluate_per_query(
    run: Run,
    qrels: Qrels,
    metrics: Sequence[str],
    *,
    answered_only: bool = False,
    relevance_level: int = 1,
    ties: str = OURS,
) -> dict[str, dict[str, float]]:
    """Each metric of each judged query: ``{metric: {query id: value}}``; arguments as ``evaluate``.

    Queries of the run that are not judged are left out. A query that is judged, but without a single
    relevant document, counts 0, as trec_eval has it; so does one whose judgements are empty.
    """
    if relevance_level < 1:
        raise ValueError(f"relevance_level must be at least 1, got {relevance_level}")
    wanted = parse_all(metrics)
    values: dict[str, dict[str, float]] = {metric.key: {} for metric in wanted}
    others = [metric for metric in wanted if metric.measure.startswith(other_measures.PREFIX)]
    judges = judges_of(qrels, [metric for metric in wanted if metric not in others], relevance_level)
    ranked: dict[str, dict[str, float]] = {}  # for `others`, which are measured of a whole run
    for query_id, grades in qrels.items():
        results = run.get(query_id)
        if not results:
            if not answered_only:
                for metric in wanted:
                    values[metric.key][query_id] = 0.0
            continue
        order = _order(query_id, results, ties)
        ranks = {False: _ranks(order), True: _ranks([doc_id for doc_id in order if doc_id in grades])}
        for group, judge in judges:
            kept = ranks[group[0].judged_only]
            measured = judge.figures(query_id, kept) if kept else {}
            for metric in group:
                values[metric.key][query_id] = _figure(metric, measured) if measured else 0.0
        for metric in others:
            values[metric.key][query_id] = 0.0
            ranked[query_id] = ranks[False]
    for metric in others:
        name = metric.measure.removeprefix(other_measures.PREFIX)
        values[metric.key].update(other_measures.figures(name, ranked, qrels, relevance_level))
    return values


def check_metrics(metrics: Sequence[str]) -> None:
    """Raise ValueError, naming the nearest ones, where a name of ``metrics`` is not a metric."""
    parse_all(metrics)


def ordered(results: Mapping[str, float], ties: str = OURS) -> list[str]:
    """Document ids best first: score descending, ties in the order written.

    With ``ties="trec_eval"`` scores are compared in single precision, and ties go by document id, the last one first:
    the order in which trec_eval reads a run. ValueError for another rule.
    """
    if ties == OURS:
        return sorted(results, key=results.__getitem__, reverse=True)  # Python's sort is stable in reverse too
    if ties != TREC_EVAL:
        raise ValueError(f"ties must be one of {', '.join(TIES)}, got {ties!r}")
    with np.errstate(over="ignore"):  # beyond single precision trec_eval has infinity as well
        scores = np.fromiter(results.values(), np.float64, len(results)).astype(np.float32).tolist()
    # Code points are in the order of their UTF-8 octets, which trec_eval compares.
    return [doc_id for _, doc_id in sorted(zip(scores, results, strict=True), reverse=True)]


def _order(query_id: str, results: Mapping[str, float], ties: str) -> list[str]:
    for doc_id, score in results.items():
        if score != score:  # NaN has no place in an order
            raise InputError(f"the score of document {doc_id!r} for query {query_id!r} is NaN")
    refuse_unspeakable(query_id, results)
    return ordered(results, ties)


def _ranks(order: Sequence[str]) -> dict[str, float]:
    """Strictly decreasing whole numbers, exact in single precision, by document id."""
    return {doc_id: float(len(order) - rank) for rank, doc_id in enumerate(order)}


def _figure(metric: Metric, measured: Mapping[str, float]) -> float:
    cut = metric.cut or 0
    if metric.measure == "mrr":  # the reciprocal rank of the run cut at `cut`
        value = measured["recip_rank"]
        return value if value > 0 and round(1 / value) <= cut else 0.0
    if metric.measure == "recall_cap":  # found / min(k, relevant): 1 is within reach of every query
        relevant = min(cut, measured["num_rel"])
        return measured[f"P_{cut}"] * cut / relevant if relevant else 0.0
    return measured[metric.measure if metric.cut is None else f"{metric.measure}_{metric.cut}"]


def _mean(values: Mapping[str, float], answered_only: bool) -> float:
    if not values:
        which = "no judged query has a result" if answered_only else "the qrels hold no query"
        raise InputError(f"nothing to average over: {which}")
    return sum(values.values()) / len(values)
