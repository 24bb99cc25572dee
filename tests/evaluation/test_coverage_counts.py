"""Ids of runs against ids of qrels."""

import pytest

from splade.evaluation.coverage import coverage, relevant_self_matches, unknown_documents
from splade.files import InputError

QRELS = {"q1": {"a": 1, "b": 0}, "q2": {"a": 1}, "q3": {"z": 1}}


def test_every_kind_of_query_is_counted():
    found = coverage({"q1": {"a": 1.0, "x": 0.5}, "q2": {}, "new": {"a": 1.0}}, QRELS)
    assert (found.judged, found.answered, found.absent, found.unjudged) == (3, 1, 1, 1)
    assert found.judged_at_10 == 0.5
    assert "3 judged queries, 1 answered, 2 without results (they count 0; 1 not in the run)" in found.sentence()
    assert "1 queries of the run are not judged" in found.sentence()


def test_only_the_ten_best_results_are_looked_at():
    results = {f"d{rank}": float(-rank) for rank in range(20)} | {"a": 1.0}
    assert coverage({"q2": results}, QRELS).judged_at_10 == pytest.approx(1 / 10)


@pytest.mark.parametrize("run", [{"other": {"a": 1.0}}, {}])
def test_a_run_of_other_queries_is_refused_in_words(run):
    with pytest.raises(InputError, match=r"share no query: .* the qrels have 3 queries \('q1', 'q2', 'q3'\)"):
        coverage(run, QRELS)


def test_judged_documents_that_the_collection_lacks_are_found():
    def beside(known):
        return lambda ids: [id for id in ids if id not in known]

    assert unknown_documents(QRELS, beside(["b", "a", "c"])) == ["z"]
    assert unknown_documents(QRELS, beside(["z", "b", "a"])) == []
    assert unknown_documents(QRELS, beside([])) == ["a", "b", "z"]


def test_queries_judged_relevant_to_themselves_are_named():
    qrels = {"q1": {"q1": 1, "a": 1}, "q2": {"q2": 0}, "q3": {"q1": 1}, "q4": {"q4": 2}}
    assert relevant_self_matches(qrels) == ["q1", "q4"]
    assert relevant_self_matches(qrels, relevance_level=2) == ["q4"]
