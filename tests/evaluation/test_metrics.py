"""Metrics against a worked example, pytrec_eval itself, and the two published runs."""

import math
import random

import pytest
import pytrec_eval

from splade.data.qrels import read_qrels
from splade.evaluation.metrics import check_metrics, evaluate, evaluate_per_query
from splade.evaluation.runs import read_run
from splade.files import InputError
from tests.shared import shared_data

# One query, graded: two of its three relevant documents are found, at ranks 2 (grade 2) and 4 (grade 1).
QRELS = {"q": {"a": 2, "b": 1, "c": 3, "d": 0}}
RUN = {"q": {"x": 9.0, "a": 8.0, "d": 7.0, "b": 6.0}}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("mrr_10", 1 / 2),
        ("mrr_1", 0.0),
        ("recip_rank", 1 / 2),
        ("recall@3", 1 / 3),
        ("R@4", 2 / 3),
        ("P_4", 2 / 4),
        ("map", (1 / 2 + 2 / 4) / 3),
        ("map_cut_3", (1 / 2) / 3),
        ("success@1", 0.0),
        ("success@2", 1.0),
        ("R_cap@2", 1 / 2),
        ("R_cap@4", 2 / 3),
        # Linear gain: 2 at rank 2 and 1 at rank 4, over 3, 2, 1 at ranks 1, 2, 3.
        ("nDCG@10", (2 / math.log2(3) + 1 / math.log2(5)) / (3 + 2 / math.log2(3) + 1 / math.log2(4))),
        ("ndcg_cut_2", (2 / math.log2(3)) / (3 + 2 / math.log2(3))),
        ("map(rel=2)", (1 / 2) / 2),
        ("MRR@10(rel=3)", 0.0),
        ("recall_4(rel=2)", 1 / 2),
    ],
)
def test_a_worked_example(metric, expected):
    assert evaluate(RUN, QRELS, [metric]) == {metric: pytest.approx(expected)}


def test_the_relevance_level_leaves_the_graded_gain_alone():
    at_1 = evaluate(RUN, QRELS, ["ndcg@10", "map"])
    at_2 = evaluate(RUN, QRELS, ["ndcg@10", "map"], relevance_level=2)
    assert at_2["ndcg@10"] == at_1["ndcg@10"]
    assert at_2["map"] == pytest.approx(1 / 4)


def test_figures_agree_with_plain_pytrec_eval_where_scores_do_not_tie():
    draw = random.Random(3)
    documents = [f"d{number}" for number in range(60)]
    qrels = {f"q{q}": {doc: draw.randrange(4) for doc in draw.sample(documents, 20)} for q in range(25)}
    run = {
        query: {
            doc: float(score)
            for doc, score in zip(draw.sample(documents, 40), draw.sample(range(999), 40), strict=True)
        }
        for query in qrels
    }
    names = {"map", "ndcg", "recip_rank", "Rprec", "bpref"} | {
        f"{measure}.7" for measure in ("recall", "P", "ndcg_cut", "map_cut")
    }
    oracle = pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(run)
    ours = evaluate_per_query(run, qrels, [name.replace(".", "_") for name in sorted(names)])
    for query, values in oracle.items():
        assert {metric: ours[metric][query] for metric in values} == pytest.approx(values)


def test_mrr_equals_the_reciprocal_rank_of_a_run_cut_at_k():
    draw = random.Random(5)
    run = {f"q{q}": {f"d{rank}": float(-rank) for rank in range(30)} for q in range(40)}
    qrels = {query: {f"d{draw.randrange(30)}": 1} for query in run}
    cut = {query: dict(list(results.items())[:10]) for query, results in run.items()}
    oracle = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)
    expected = sum(values["recip_rank"] for values in oracle.values()) / len(qrels)
    assert evaluate(run, qrels, ["mrr_10"])["mrr_10"] == pytest.approx(expected)


def test_a_judged_query_without_results_counts_zero():
    qrels = QRELS | {"absent": {"a": 1}, "empty": {"a": 1}}
    run = RUN | {"empty": {}}
    assert evaluate(run, qrels, ["mrr_10"])["mrr_10"] == pytest.approx(0.5 / 3)
    assert evaluate_per_query(run, qrels, ["mrr_10"]) == {"mrr_10": {"q": 0.5, "absent": 0.0, "empty": 0.0}}


def test_the_average_over_answered_queries_is_an_option():
    qrels = QRELS | {"absent": {"a": 1}}
    assert evaluate(RUN, qrels, ["mrr_10"], answered_only=True) == {"mrr_10": 0.5}


def test_a_query_that_is_not_judged_is_left_out():
    assert evaluate(RUN | {"other": {"a": 1.0}}, QRELS, ["mrr_10"]) == {"mrr_10": 0.5}


@pytest.mark.parametrize("order", [("a", "x"), ("x", "a")])
def test_ties_keep_the_order_written_whatever_the_ids(order):
    run = {"q": dict.fromkeys(order, 1.0)}
    assert evaluate(run, {"q": {"a": 1}}, ["mrr_10"]) == {"mrr_10": 1 / (1 + order.index("a"))}


def test_scores_that_differ_beyond_single_precision_are_not_ties():
    run = {"q": {"x": 1.0, "a": 1.0 + 1e-12}}
    assert evaluate(run, {"q": {"a": 1, "x": 0}}, ["mrr_10"]) == {"mrr_10": 1.0}


def test_figures_do_not_depend_on_the_order_of_a_run_without_ties():
    reverse = {"q": dict(reversed(RUN["q"].items()))}
    assert evaluate(reverse, QRELS, ["map", "ndcg"]) == evaluate(RUN, QRELS, ["map", "ndcg"])


def test_both_spellings_give_the_same_figure_under_their_own_name():
    figures = evaluate(RUN, QRELS, ["mrr_4", "MRR@4", "recall_4", "Recall@4"])
    assert figures["mrr_4"] == figures["MRR@4"]
    assert figures["recall_4"] == figures["Recall@4"]


def test_a_family_gives_its_usual_cut_offs():
    assert list(evaluate(RUN, QRELS, ["recall"])) == [
        f"recall_{cut}" for cut in (5, 10, 15, 20, 30, 100, 200, 500, 1000)
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mmr_10", "did you mean mrr_10"),
        ("ncdg@10", "did you mean ndcg"),
        ("R", "needs a cut-off"),
        ("rprec_5", "takes no cut-off"),
        ("recall@0", "at least 1"),
        ("", "unknown metric"),
    ],
)
def test_an_unknown_metric_is_refused_with_what_would_do(name, said):
    with pytest.raises(ValueError, match=said):
        check_metrics([name])


def test_a_string_in_place_of_a_list_of_metrics_is_refused():
    with pytest.raises(ValueError, match="must be a list"):
        check_metrics("mrr_10")


def test_nothing_to_average_over_is_an_error_in_words():
    with pytest.raises(InputError, match="hold no query"):
        evaluate(RUN, {}, ["map"])
    with pytest.raises(InputError, match="no judged query has a result"):
        evaluate({}, QRELS, ["map"], answered_only=True)


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(InputError, match="'a' for query 'q' is NaN"):
        evaluate({"q": {"a": math.nan}}, QRELS, ["map"])


@pytest.mark.parametrize(
    ("run", "expected"), [("splade-pp-ed.dl19.top100.trec", 0.7308), ("bm25.dl19.top100.trec", 0.5058)]
)
def test_the_two_published_runs_have_their_published_ndcg(run, expected):
    qrels = read_qrels(shared_data("fixtures/qrels.dl19-passage.full.txt"))
    figures = evaluate(read_run(shared_data(f"fixtures/{run}")), qrels, ["ndcg_cut_10"])
    assert round(figures["ndcg_cut_10"], 4) == expected
