"""A constructed set that exercises every convention; each figure is worked by hand."""

import pytest

from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.measured import measured

# Four judged queries. ``a`` finds itself first; ``b`` is judged relevant to itself; ``c`` has a tie that document ids
# decide the other way round; ``d`` finds nothing. Grades of ``a``: one document of 1, one of 2.
QRELS = {"a": {"x": 1, "y": 2}, "b": {"b": 1, "y": 1}, "c": {"z": 1}, "d": {"x": 1}}
RUN = {"a": {"a": 9.0, "x": 8.0, "y": 7.0}, "b": {"b": 3.0, "x": 2.0, "y": 1.0}, "c": {"y": 5.0, "z": 5.0}}


def figure(metric="mrr_10", **rules):
    chosen = Conventions(**rules).checked()
    return measured(RUN, QRELS, [metric], chosen, SelfMatches(chosen.self_matches, "arguana"))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, (1 / 2 + 1 + 1 / 2 + 0) / 4),
        ({"self_matches": "beir"}, (1 + 1 / 2 + 1 / 2 + 0) / 4),
        ({"self_matches": "arguana_quora"}, (1 + 1 / 2 + 1 / 2 + 0) / 4),
        ({"ties": "trec_eval"}, (1 / 2 + 1 + 1 + 0) / 4),
        ({"unanswered": "left_out"}, (1 / 2 + 1 + 1 / 2) / 3),
        ({"relevance_level": 2}, (1 / 3 + 0 + 0 + 0) / 4),
        ({"self_matches": "beir", "ties": "trec_eval", "unanswered": "left_out"}, (1 + 1 / 2 + 1) / 3),
        ({"self_matches": "beir", "relevance_level": 2, "unanswered": "left_out"}, (1 / 2 + 0 + 0) / 3),
    ],
)
def test_every_convention_changes_the_figure_as_worked_by_hand(rules, expected):
    assert figure(**rules).metrics == {"mrr_10": pytest.approx(expected)}


def test_judged_documents_alone_are_measured_where_the_metric_says_so():
    assert figure("mrr_10(judged_only)").metrics["mrr_10(judged_only)"] == pytest.approx((1 + 1 + 1 + 0) / 4)


def test_the_dropped_documents_are_counted_and_named_with_the_rule():
    found = figure(self_matches="beir", ties="trec_eval", unanswered="left_out", relevance_level=1)
    assert found.details["self_matches"] == {"dropped_hits": 2, "dropped_relevant": 1, "queries": ["a", "b"]}
    assert found.details["conventions"] == {
        "unanswered": "left out",
        "ties": "trec_eval",
        "self_matches": "self-matches dropped on every set, as BEIR does (beir)",
        "relevance_level": 1,
    }
    assert found.covered.sentence(answered_only=True).startswith(
        "4 judged queries, 3 answered, 1 without results (they are left out; 1 not in the run)"
    )
    assert "self_matches" not in figure().details


def test_what_the_search_dropped_before_is_told_with_what_is_dropped_now():
    kept = SelfMatches("beir", "quora")
    found = measured({"c": {"z": 1.0}, "a": {"a": 1.0}}, QRELS, ["map"], Conventions(), kept, dropped_before=["b"])
    assert found.details["self_matches"] == {"dropped_hits": 2, "dropped_relevant": 1, "queries": ["b", "a"]}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"self_matches": "all"}, "accepted: beir, arguana_quora, mteb, off"),
        ({"ties": "theirs"}, "accepted: ours, trec_eval"),
        ({"unanswered": "skip"}, "accepted: count_0, left_out"),
        ({"relevance_level": 0}, "whole number of at least 1, got 0"),
    ],
)
def test_a_rule_that_there_is_not_is_refused_with_the_accepted_ones(rules, told):
    with pytest.raises(ValueError, match=told):
        Conventions(**rules).checked()
