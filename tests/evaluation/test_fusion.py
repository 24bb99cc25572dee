"""Fusions worked by hand, by ranx, and by the laws that they keep."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.evaluation.fusion import MinMax, ReciprocalRank
from splade.evaluation.runs import read_run
from splade.files import InputError
from tests.comparing.fixtures import GOOD, POOR

FIRST = {"q1": {"a": 9.0, "b": 7.0, "c": 5.0}, "q2": {"a": 1.0}}
SECOND = {"q1": {"c": 0.5, "d": 0.25}, "q3": {"z": 2.0}}
METHODS = [ReciprocalRank(), MinMax(), MinMax(multiply=True)]

scores = st.dictionaries(st.sampled_from("abcdef"), st.integers(-4, 4).map(float), max_size=6)
rankings = st.lists(scores, min_size=1, max_size=4)


def as_runs(found):
    return [{"q": dict(sorted(each.items(), key=lambda item: -item[1]))} for each in found]


def test_reciprocal_ranks_are_summed_by_hand():
    found = ReciprocalRank(k=60)([FIRST, SECOND])
    assert found["q1"] == {"c": 1 / 63 + 1 / 61, "a": 1 / 61, "b": 1 / 62, "d": 1 / 62}
    assert list(found["q1"]) == ["c", "a", "b", "d"]  # b and d were second: the id decides
    assert (found["q2"], found["q3"]) == ({"a": 1 / 61}, {"z": 1 / 61})
    assert list(found) == ["q1", "q2", "q3"]
    weighted = ReciprocalRank(k=1, weights=[2, 0.5])([FIRST, SECOND])["q1"]
    assert weighted == {"a": 1.0, "c": 0.75, "b": pytest.approx(2 / 3), "d": pytest.approx(0.5 / 3)}


def test_normalised_scores_are_summed_by_hand():
    assert MinMax()([FIRST, SECOND])["q1"] == {"a": 1.0, "c": 1.0, "b": 0.5, "d": 0.0}
    assert MinMax(weights=[1, 3])([FIRST, SECOND])["q1"] == {"c": 3.0, "a": 1.0, "b": 0.5, "d": 0.0}
    assert MinMax(multiply=True)([FIRST, SECOND])["q1"] == {"c": 2.0, "a": 1.0, "b": 0.5, "d": 0.0}


def test_rankings_without_a_range_have_the_share_1():
    constant = {"q": {"a": 3.0, "b": 3.0}}
    assert MinMax()([constant, {"q": {"b": 8.0}}]) == {"q": {"b": 2.0, "a": 1.0}}


def test_depth_cuts_each_ranking_before_it_is_normalised():
    assert MinMax(depth=2)([FIRST, {}])["q1"] == {"a": 1.0, "b": 0.0}
    assert list(ReciprocalRank(depth=1)([FIRST, SECOND])["q1"]) == ["a", "c"]


def test_a_run_of_weight_0_leaves_no_documents():
    assert MinMax(weights=[1, 0])([FIRST, SECOND])["q1"] == MinMax()([FIRST, {}])["q1"]


def test_scores_as_large_and_as_small_as_they_get_are_normalised():
    assert MinMax()([{"q": {"a": 1.7e308, "b": 0.0, "c": -1.7e308}}])["q"] == {"a": 1.0, "b": 0.5, "c": 0.0}
    assert MinMax()([{"q": {"a": 5e-324, "b": 0.0}}])["q"] == {"a": 1.0, "b": 0.0}


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(found=rankings, order=st.randoms(use_true_random=False))
def test_the_order_of_the_runs_changes_nothing(method, found, order):
    mixed = list(found)
    order.shuffle(mixed)
    first, second = method(as_runs(found))["q"], method(as_runs(mixed))["q"]
    # A run keeps ties as written: where two orders are possible, the ranks of tied documents are those of the run.
    assert list(first.items()) == list(second.items())


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(found=scores)
def test_one_run_keeps_its_order(method, found):
    (run,) = as_runs([found])
    assert list(method([run])["q"]) == list(run["q"])


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(found=rankings)
def test_results_are_all_documents_once_best_first_within_bounds(method, found):
    fused = method(as_runs(found))["q"]
    assert set(fused) == {doc for each in found for doc in each}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
    highest = len(found) / 61 if isinstance(method, ReciprocalRank) else len(found) ** 2
    assert all(0 <= score <= highest + 1e-12 for score in fused.values())


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(found=rankings, slope=st.sampled_from([0.5, 2.0, 4.0]), shift=st.integers(-8, 8))
def test_scale_and_shift_of_scores_change_nothing(method, found, slope, shift):
    moved = [{doc: slope * score + shift for doc, score in each.items()} for each in found]
    assert method(as_runs(moved)) == method(as_runs(found))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(found=rankings)
def test_a_run_that_answers_nothing_adds_nothing(method, found):
    assert method([*as_runs(found), {}, {"q": {}}]) == method(as_runs(found))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ReciprocalRank(k=-1), "k must be a number of at least 0"),
        (lambda: ReciprocalRank(k=math.inf), "k must be a number"),
        (lambda: MinMax(weights=[1, -1]), r"fuse\.weights must be numbers of at least 0"),
        (lambda: MinMax(weights=[0, 0]), "one of them above"),
        (lambda: MinMax(weights=[math.nan]), "at least 0"),
        (lambda: MinMax(depth=0), "depth must be at least 1"),
        (lambda: MinMax()([]), "no runs to fuse"),
        (lambda: MinMax(weights=[1])([FIRST, SECOND]), r"fuse\.weights=\[1\.0\]: 1 for 2 runs"),
    ],
)
def test_arguments_out_of_range_are_refused(make, told):
    with pytest.raises((ValueError, InputError), match=told):
        make()


@pytest.mark.slow  # ranx compiles for a minute
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")  # of its kernels
@pytest.mark.skipif(not GOOD.is_file(), reason="the runs of ../shared/data are not there")
def test_published_runs_are_fused_as_ranx_does():
    ranx = pytest.importorskip("ranx", reason="the oracle ranx is not installed")
    runs = [
        {
            query: {doc: score - 1e-6 * rank for rank, (doc, score) in enumerate(found.items())}
            for query, found in run.items()
        }
        for run in map(read_run, (GOOD, POOR))
    ]  # without ties, whose order is each program's own
    given = [ranx.Run(run) for run in runs]
    cases = [
        (ReciprocalRank(), {"norm": None, "method": "rrf", "params": {"k": 60}}),
        (MinMax(weights=[0.3, 0.7]), {"norm": "min-max", "method": "wsum", "params": {"weights": [0.3, 0.7]}}),
        (MinMax(multiply=True), {"norm": "min-max", "method": "mnz"}),
    ]
    for mine, theirs in cases:
        expected = ranx.fuse(given, **theirs).to_dict()
        for query, found in mine(runs).items():
            assert found == pytest.approx(expected[query], abs=1e-9)
