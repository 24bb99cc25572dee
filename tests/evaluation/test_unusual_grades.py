"""Grades that trec_eval cannot hold: evaluation neither dies nor counts them as nothing."""

import random

import pytest
import pytrec_eval

from splade.evaluation.eval import main
from splade.evaluation.metrics import evaluate, evaluate_per_query
from splade.files import InputError

MEASURES = ["mrr_10", "recip_rank", "ndcg", "ndcg@10", "map", "map_cut_5", "recall@5", "P_5", "success@1", "Rprec"]
MEASURES += ["bpref", "R_cap@5"]


def run_of(*doc_ids):
    return {doc_id: float(-rank) for rank, doc_id in enumerate(doc_ids)}


def drawn(seed, lowest, highest):
    """Forty queries of up to twelve judged documents, the first of them relevant, and a ranking of ten."""
    draw = random.Random(seed)
    docs = [f"d{number}" for number in range(16)]
    qrels = {
        f"q{q}": {d: draw.randint(lowest, highest) for d in draw.sample(docs, draw.randint(1, 12))} for q in range(40)
    }
    for grades in qrels.values():
        grades[next(iter(grades))] = highest
    return {query: run_of(*draw.sample(docs, 10)) for query in qrels}, qrels


@pytest.mark.parametrize("grade", [-1, -2, -(2**31), -(2**80)])
def test_a_query_whose_highest_grade_is_negative_counts_0_by_every_measure(grade):
    run, qrels = {"q1": run_of("d5"), "q2": run_of("d18")}, {"q1": {"d5": 1}, "q2": {"d5": grade, "d18": grade}}
    figures = evaluate_per_query(run, qrels, MEASURES)
    assert {values["q2"] for values in figures.values()} == {0.0}
    assert evaluate(run, qrels, ["mrr_10"]) == {"mrr_10": 0.5}


@pytest.mark.parametrize(
    ("first", "printed"),
    [
        ("q1 0 d5 0", "mrr_10 0.000000\n"),  # not relevant, not found
        ("q1 0 d38 1", "mrr_10 0.500000\n"),  # found first
    ],
)
def test_the_command_lives_through_a_query_judged_below_minus_one(tmp_path, capsys, first, printed):
    (tmp_path / "qrels.txt").write_text(f"{first}\nq2 0 d5 -2\n")
    (tmp_path / "run.txt").write_text("q1 Q0 d38 1 6 t\nq2 Q0 d18 1 29 t\n")
    files = ["--qrel_file_path", str(tmp_path / "qrels.txt"), "--run_file_path", str(tmp_path / "run.txt")]
    assert main([*files, "--metric", "mrr_10"]) == 0
    assert capsys.readouterr().out == printed


def test_grades_below_minus_one_measure_as_minus_one_does():
    run, qrels = drawn(1, -4, 2)
    raised = {query: {doc: max(grade, -1) for doc, grade in grades.items()} for query, grades in qrels.items()}
    names = {"map", "ndcg", "recip_rank", "Rprec", "bpref", "recall.5", "P.5", "ndcg_cut.10", "map_cut.5", "success.1"}
    oracle = pytrec_eval.RelevanceEvaluator(raised, names).evaluate(run)
    ours = evaluate_per_query(run, qrels, [name.replace(".", "_") for name in sorted(names)])
    for query, values in oracle.items():
        assert {metric: ours[metric][query] for metric in values} == pytest.approx(values)


def test_a_query_without_judgements_counts_0():
    figures = evaluate_per_query({"q1": run_of("a"), "q2": run_of("a")}, {"q1": {"a": 1}, "q2": {}}, MEASURES)
    assert {values["q2"] for values in figures.values()} == {0.0}
    assert figures["mrr_10"] == {"q1": 1.0, "q2": 0.0}


@pytest.mark.parametrize("factor", [101, 10**6, 2**31, 2**50])
def test_every_measure_is_the_same_when_all_grades_are_multiplied(factor):
    run, qrels = drawn(2, -1, 4)
    large = {
        q: {d: grade * factor if grade > 0 else grade for d, grade in grades.items()} for q, grades in qrels.items()
    }
    small, scaled = evaluate_per_query(run, qrels, MEASURES), evaluate_per_query(run, large, MEASURES)
    for measure in MEASURES:
        assert scaled[measure] == pytest.approx(small[measure], abs=1e-12)


def test_a_large_grade_tells_documents_apart_that_a_cap_would_make_equal():
    qrels = {"q": {"a": 2**31, "b": 2**30}}
    worked = (1 / 2 + 1 / 1.5849625007211562) / (1 + 1 / 2 / 1.5849625007211562)  # 1 and ½ at ranks 2 and 1
    assert evaluate({"q": run_of("b", "a")}, qrels, ["ndcg"])["ndcg"] == pytest.approx(worked)


@pytest.mark.parametrize("grade", [2**53 + 1, 0.5, "1", None])
def test_a_grade_that_no_measure_can_hold_is_refused_by_query_and_document(grade):
    with pytest.raises(InputError, match="document 'a' for query 'q'"):
        evaluate({"q": run_of("a")}, {"q": {"a": grade}}, ["ndcg"])


def test_a_relevance_level_beyond_a_machine_number_is_a_level_like_another():
    run, qrels = {"q": run_of("b", "a")}, {"q": {"a": 2**40, "b": 2**39}}
    level = 2**39 + 1
    assert evaluate(run, qrels, [f"mrr_10(rel={level})", "map"], relevance_level=level) == {
        f"mrr_10(rel={level})": 0.5,
        "map": 0.5,
    }
    assert evaluate(run, qrels, ["map"], relevance_level=2**90) == {"map": 0.0}


def test_a_cut_off_beyond_a_machine_number_is_refused_in_words():
    with pytest.raises(ValueError, match="cut-off 9223372036854775808; it must be"):
        evaluate({"q": run_of("a")}, {"q": {"a": 1}}, ["recall@9223372036854775808"])


@pytest.mark.parametrize("name", ["half \ud800", "nul \0"])
def test_an_id_that_the_evaluator_cannot_hold_is_refused_by_name(name):
    with pytest.raises(InputError, match="holds half of a character or NUL"):
        evaluate({"q": run_of(name)}, {"q": {"a": 1}}, ["map"])
    with pytest.raises(InputError, match="holds half of a character or NUL"):
        evaluate({"q": run_of("a")}, {"q": {name: 1}}, ["map"])
