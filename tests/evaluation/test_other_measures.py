"""Measures of ``ir_measures`` by their names, under our conventions; ``ir_measures`` itself is the oracle."""

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.evaluation import other_measures
from splade.evaluation.eval import main
from splade.evaluation.metrics import check_metrics, evaluate, evaluate_per_query
from splade.files import InputError

INSTALLED = pytest.mark.skipif(
    not other_measures.is_installed(), reason="ir_measures is not installed (the extra measures)"
)

QRELS = {"a-1": {"d1": 3, "d2": 0, "d3": 1, "x y": 2}, "b": {"d1": 0, "d4": 1}, "c": {"d9": 1}, "none": {"d1": 0}}
RUN = {
    "a-1": {"d3": 9.0, "d7": 8.0, "d1": 7.0, "x y": 6.5, "d2": 6.0},
    "b": {"d8": 2.0, "d4": 1.0},
    "c": {},
    "none": {"d1": 1.0},
}


@INSTALLED
def test_the_share_of_judged_results_is_counted_as_written():
    """Four of the five results of a-1 are judged, one of two of b, none of c, all of the last."""
    values = evaluate_per_query(RUN, QRELS, ["Judged@10"])["Judged@10"]
    assert values == pytest.approx({"a-1": 4 / 5, "b": 1 / 2, "c": 0.0, "none": 1.0})


@INSTALLED
def test_expected_reciprocal_rank_by_hand():
    """Grades 1, 0, 3 stop a reader with probabilities 1/16, 0, 7/16 (Chapelle et al. 2009, the highest grade 4)."""
    by_hand = 1 / 16 + (15 / 16) * (7 / 16) / 3
    value = evaluate_per_query(RUN, {"a-1": {"d3": 1, "d1": 3}}, ["ERR@3"])["ERR@3"]["a-1"]
    assert value == pytest.approx(by_hand, abs=1e-5)  # gdeval writes five digits


@INSTALLED
def test_exponential_gain_by_hand():
    gains = [1, 0, 7, 3]
    ideal = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    by_hand = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains)) / ideal
    values = evaluate_per_query(RUN, QRELS, ["nDCG(dcg='exp-log2')@10"])["nDCG(dcg='exp-log2')@10"]
    assert values["a-1"] == pytest.approx(by_hand, abs=1e-5)
    assert values["c"] == values["none"] == 0.0


@INSTALLED
@pytest.mark.parametrize(
    "name", ["SetF", "set_F", "SETF", "infAP", "iprec_at_recall_0.10", "IPrec@0.1", "AP@10", "Compat"]
)
def test_names_are_read_as_ir_measures_or_trec_eval_writes_them_in_any_case(name):
    assert 0 < evaluate(RUN, QRELS, [name])[name] < 1


@INSTALLED
def test_the_relevance_level_holds_for_names_without_one():
    asked = ["AP@10", "AP(rel=2)@10", "NumRelRet", "NumRet", "AP(rel=1)@10"]
    figures = evaluate(RUN, QRELS, asked, relevance_level=2)
    assert figures["AP@10"] == figures["AP(rel=2)@10"] == pytest.approx((1 / 3 + 2 / 4) / 2 / 4)
    assert figures["AP(rel=1)@10"] == evaluate(RUN, QRELS, ["AP@10"])["AP@10"] != figures["AP@10"]
    assert figures["NumRelRet"] == 2 / 4


@INSTALLED
def test_ties_stay_as_written_and_unanswered_queries_count_0():
    tied = {"q": {"z": 1.0, "a": 1.0}}
    qrels = {"q": {"z": 1, "a": 0}, "unanswered": {"z": 1}}
    asked = ["AP@1", "Accuracy", "Compat(p=0.5)", "ERR@1"]
    first, second = evaluate(tied, qrels, asked), evaluate({"q": {"a": 1.0, "z": 1.0}}, qrels, asked)
    assert first["AP@1"] == 0.5
    assert second["AP@1"] == 0.0
    assert all(first[name] >= second[name] for name in asked)
    assert evaluate(tied, qrels, ["AP@1"], answered_only=True)["AP@1"] == 1.0


SAME = {  # ours and theirs
    "mrr": "RR", "mrr_3": "RR@3", "ndcg_cut_3": "nDCG@3", "ndcg": "nDCG", "map": "AP", "map_cut_3": "AP@3",
    "recall_3": "R@3", "P_3": "P@3", "success_1": "Success@1", "rprec": "Rprec", "bpref": "Bpref",
    "map(rel=2)": "AP(rel=2)", "P(rel=2)@3": "P(rel=2)@3",
}  # fmt: skip


@INSTALLED
@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3"]),
        st.dictionaries(st.sampled_from("abcdef"), st.integers(-1, 3), min_size=1),
        min_size=1,
    ),
    st.dictionaries(st.sampled_from(["1", "2", "3"]), st.permutations(list("abcdefg"))),
)
def test_names_that_both_know_have_one_value(qrels, orders):
    """Ours are computed here, theirs by `figures`, which is asked for names that ours would take first."""
    run = {query: {doc: 7.0 - place for place, doc in enumerate(order)} for query, order in orders.items()}
    ours = evaluate_per_query(run, qrels, list(SAME))
    for name, other in SAME.items():
        theirs = other_measures.figures(other, run, qrels, 1)
        assert ours[name] == pytest.approx({query: theirs.get(query, 0.0) for query in qrels}, abs=1e-6), name


@INSTALLED
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ERR", "no provider"),
        ("ERR(foo=1)@3", "parameters are cutoff"),
        ("AP@x", "unknown metric"),
        ("AP(rel='high')@3", "rel='high'"),
        ("SDCG@10", "needs max_rel"),
        ("AP@0", "below 1"),
        ("alpha_nDCG@10", "subtopics"),
        ("ndgc_10", "did you mean ndcg_10"),
        ("official", "no measure of that name"),
        ("__import__('os')", "unknown metric"),
    ],
)
def test_names_that_cannot_be_computed_are_refused_before_any_work(name, said):
    with pytest.raises(ValueError, match=said):
        check_metrics([name])


@INSTALLED
def test_a_grade_that_the_provider_does_not_take_is_named():
    with pytest.raises(InputError, match="gdeval, which takes grades up to 4: document 'd' of query 'q' has 5"):
        evaluate({"q": {"d": 1.0}}, {"q": {"d": 5}}, ["ERR@3"])


@INSTALLED
def test_a_failure_of_a_provider_is_said_in_words():
    with pytest.raises(InputError, match="'Accuracy' cannot be computed: accuracy of ir_measures failed"):
        evaluate({"q": {"d": 1.0}}, {"q": {"d": 1}}, ["Accuracy"])


def test_without_ir_measures_a_name_of_it_is_refused_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    monkeypatch.setattr(other_measures, "is_installed", lambda: False)
    with pytest.raises(ValueError, match=r"unknown metric 'ERR@20'.*pip install 'splade\[measures\]'"):
        check_metrics(["mrr_10", "ERR@20"])


@INSTALLED
def test_the_command_line_prints_them_beside_ours(tmp_path, capsys):
    (tmp_path / "qrels.txt").write_text("q 0 d1 1\nq 0 d2 0\n")
    (tmp_path / "run.trec").write_text("q Q0 d2 1 2 x\nq Q0 d1 2 1 x\n")
    given = ["--qrel_file_path", str(tmp_path / "qrels.txt"), "--run_file_path", str(tmp_path / "run.trec")]
    assert main([*given, "--metric", "mrr_10", "Judged@2", "AP"]) == 0
    assert capsys.readouterr().out == "mrr_10 0.500000\nJudged@2 1.000000\nAP 0.500000\n"
    assert main([*given, "--metric", "SDCG@10"]) == 2
    assert "needs max_rel" in capsys.readouterr().err


@INSTALLED
def test_a_training_may_be_validated_and_monitored_by_them():
    from splade.training.validation.validation import Validation

    validation = Validation(None, object(), ["mrr_10", "ERR@10"], "err@10")
    assert validation.columns == ["mrr_10", "ERR@10"]
    assert validation.monitor.figure == "ERR@10"
    with pytest.raises(ValueError, match="needs max_rel"):
        Validation(None, object(), ["SDCG@10"], "loss")
