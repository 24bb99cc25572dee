"""Metrics of the ranking without its unjudged documents, as for samples of which few documents are judged."""

import numpy as np
import pytest

from splade.evaluation.metrics import evaluate
from splade.evaluation.names import parse

QRELS = {"q": {"a": 2, "b": 0, "c": 1}}
RUN = {"q": {"x": 9.0, "b": 8.0, "y": 7.0, "c": 6.0, "z": 5.0, "a": 4.0}}
# Judged documents alone: b (0), c (1), a (2).
LOG3, IDEAL = np.log2(3), 2 + 1 / np.log2(3)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("nDCG(judged_only)@10", (1 / LOG3 + 2 / 2) / IDEAL),
        ("ndcg_cut_10(judged_only)", (1 / LOG3 + 2 / 2) / IDEAL),
        ("nDCG(judged_only)@2", (1 / LOG3) / IDEAL),
        ("nDCG(judged_only=True)@2", (1 / LOG3) / IDEAL),
        ("nDCG(judged_only=False)@2", 0.0),
        ("mrr_10(judged_only)", 1 / 2),
        ("mrr_10(rel=2,judged_only)", 1 / 3),
        ("mrr_10(judged_only)(rel=2)", 1 / 3),
        ("mrr_10(rel=2)", 1 / 6),
        ("P_2(judged_only)", 1 / 2),
        ("recall_2(judged_only)", 1 / 2),
        ("map(judged_only)", (1 / 2 + 2 / 3) / 2),
    ],
)
def test_unjudged_documents_leave_before_the_ranking_is_measured(metric, expected):
    assert evaluate(RUN, QRELS, [metric]) == {metric: pytest.approx(expected)}


def test_it_is_the_metric_of_a_run_of_judged_documents():
    rng = np.random.default_rng(3)
    docs = [f"d{number}" for number in range(40)]
    run = {f"q{n}": dict(zip(docs, rng.random(40).tolist(), strict=True)) for n in range(8)}
    qrels = {q: {doc: int(rng.integers(0, 3)) for doc in rng.permutation(docs)[:9].tolist()} for q in run}
    judged = {q: {doc: score for doc, score in run[q].items() if doc in qrels[q]} for q in run}
    names = ["ndcg_cut_10", "mrr_10", "recall_5", "map", "P_5", "success_1", "Rprec"]
    expected = evaluate(judged, qrels, names)
    found = evaluate(run, qrels, [f"{name}(judged_only)" for name in names] + names)
    assert {name: found[f"{name}(judged_only)"] for name in names} == expected
    assert {name: found[name] for name in names} == evaluate(run, qrels, names) != expected


def test_a_query_whose_results_are_all_unjudged_counts_0_and_is_answered():
    both = evaluate({"q": {"x": 1.0}, "p": {"a": 1.0}}, QRELS | {"p": {"a": 1}}, ["mrr_10(judged_only)"],
                    answered_only=True)  # fmt: skip
    assert both == {"mrr_10(judged_only)": 0.5}


def test_a_family_keeps_the_modifier_for_each_of_its_cut_offs():
    assert [metric.key for metric in parse("success(judged_only)")] == [
        "success_1(judged_only)", "success_5(judged_only)", "success_10(judged_only)",
    ]  # fmt: skip
    assert parse("success(judged_only, rel=2)")[0].key == "success_1(rel=2,judged_only)"


@pytest.mark.parametrize("name", ["nDCG(judged)@10", "mrr_10(judged_only)(judged_only)", "map(rel=1)(rel=2)", "P()_5"])
def test_another_modifier_or_one_twice_is_refused_with_the_accepted_ones(name):
    with pytest.raises(ValueError, match=r"accepted, once each: rel=N .*, judged_only"):
        parse(name)
