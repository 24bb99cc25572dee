"""Self-matches under each policy."""

import numpy as np
import pytest

from splade.evaluation.conventions import describe, drop_self_matches, drops_self_matches, search_depth
from splade.records import Ranking

RANKING = Ranking("q", ["q", "a", "b"], np.array([3, 2, 1], np.float32))


@pytest.mark.parametrize(
    ("policy", "dropped"),
    [
        ("beir", {"arguana", "quora", "scifact", "fiqa"}),
        ("arguana_quora", {"arguana", "quora"}),
        ("mteb", {"arguana", "quora", "fiqa"}),
        ("off", set()),
    ],
)
def test_a_policy_drops_on_its_own_sets(policy, dropped):
    sets = ("arguana", "quora", "scifact", "fiqa")
    assert {name for name in sets if drops_self_matches(policy, name)} == dropped
    assert {name for name in sets if search_depth(10, policy, name) == 11} == dropped
    assert policy in describe(policy)


def test_names_of_sets_are_read_without_case_and_prefix():
    assert drops_self_matches("arguana_quora", "ArguAna")
    assert drops_self_matches("arguana_quora", "beir/quora/test")


def test_exactly_k_results_stay_when_the_query_found_itself():
    (kept,) = drop_self_matches([RANKING], 2)
    assert kept.doc_ids == ["a", "b"]
    assert kept.scores.tolist() == [2, 1]


def test_exactly_k_results_stay_when_it_did_not():
    (kept,) = drop_self_matches([RANKING._replace(query_id="other")], 2)
    assert kept.doc_ids == ["q", "a"]
    assert kept.scores.tolist() == [3, 2]


def test_a_policy_that_keeps_self_matches_only_cuts():
    (kept,) = drop_self_matches([RANKING], 1, "arguana_quora", "scifact")
    assert kept.doc_ids == ["q"]


def test_an_empty_ranking_stays_empty():
    (kept,) = drop_self_matches([Ranking("q", [], np.empty(0, np.float32))], 5)
    assert len(kept.doc_ids) == len(kept.scores) == 0


def test_an_unknown_policy_is_refused_with_the_accepted_ones():
    for function in (lambda: search_depth(1, "biir", "x"), lambda: describe("biir")):
        with pytest.raises(ValueError, match="'biir'; accepted: beir, arguana_quora, mteb, off"):
            function()
