import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.data.examples.false_negatives import FalseNegatives
from splade.data.score_files.negatives import write_scores
from splade.mining import Chooser, Ranks, false_negatives, positives_of
from splade.records import Ranking


def ranking(n, query="q"):
    """Documents d0, d1, … with scores n, n - 1, …"""
    return Ranking(query, [f"d{place}" for place in range(n)], np.arange(n, 0, -1, dtype=np.float32))


def test_the_first_ranks_without_the_answers_are_taken_and_keep_their_scores():
    chooser = Chooser(Ranks(top=3, n_top=3, depth=6, n_deep=0), {"q": {"d0", "d2"}})
    negatives, counts = chooser.choose(ranking(10))
    assert negatives == {"d1": 9.0, "d3": 7.0, "d4": 6.0}
    assert list(negatives) == ["d1", "d3", "d4"]
    assert counts == {
        "queries": 1,
        "positives": 2,
        "positives_found": 2,
        "false_negatives": 0,
        "negatives": 3,
        "queries_without_negatives": 0,
        "queries_with_fewer_negatives": 0,
    }


def test_deeper_ranks_are_drawn_evenly_below_the_first_ones_and_above_the_depth():
    chooser = Chooser(Ranks(top=2, n_top=2, depth=8, n_deep=3), {})
    drawn = {f"d{place}": 0 for place in range(2, 8)}
    for number in range(600):
        negatives, _ = chooser.choose(ranking(20, f"q{number}"))
        assert {"d0", "d1"} < set(negatives)
        assert len(negatives) == 5
        for document in set(negatives) - {"d0", "d1"}:
            drawn[document] += 1  # a key error would be a rank beyond the depth
    # 300 expected each, with a standard deviation of 12.
    assert all(250 < count < 350 for count in drawn.values())


def test_fewer_than_all_of_the_first_ranks_leave_the_others_to_the_deeper_draw():
    chooser = Chooser(Ranks(top=4, n_top=1, depth=4, n_deep=3), {})
    assert set(chooser.choose(ranking(9))[0]) == {"d0", "d1", "d2", "d3"}


def test_false_negatives_are_left_out_and_counted():
    chooser = Chooser(Ranks(top=2, n_top=2, depth=5, n_deep=0), {"q": {"d1"}}, {"q": {"d0", "d9"}})
    negatives, counts = chooser.choose(ranking(10))
    assert list(negatives) == ["d2", "d3"]
    assert (counts["false_negatives"], counts["positives_found"]) == (1, 1)


def test_a_query_that_finds_nothing_is_counted():
    negatives, counts = Chooser(Ranks(), {"q": {"d1"}}).choose(ranking(0))
    assert negatives == {}
    assert (counts["queries_without_negatives"], counts["queries_with_fewer_negatives"]) == (1, 1)


@given(
    st.integers(0, 60), st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)),
    st.integers(0, 20), st.integers(0, 20), st.integers(1, 40), st.integers(0, 20),
)  # fmt: skip
def test_negatives_are_never_answers_and_as_many_as_there_can_be(n, answers, false, n_top, more, depth, n_deep):
    top = n_top + more
    ranks = Ranks(top, n_top, max(depth, top), n_deep + (n_top == n_deep == 0))
    positives = {"q": {f"d{number}" for number in answers}}
    chooser = Chooser(ranks, positives, {"q": {f"d{number}" for number in false}})
    negatives, _ = chooser.choose(ranking(n))
    allowed = [f"d{place}" for place in range(min(n, ranks.depth)) if place not in answers | false]
    assert set(negatives) <= set(allowed)
    assert list(negatives) == [document for document in allowed if document in negatives]
    taken = min(ranks.n_top, len(allowed))
    assert len(negatives) == taken + min(ranks.n_deep, len(allowed) - taken)
    assert negatives == chooser.choose(ranking(n))[0]


def test_what_is_drawn_depends_on_the_seed_and_on_the_query_alone():
    first, again, other = (Chooser(Ranks(0, 0, 1000, 50, seed), {}) for seed in (1, 1, 2))
    assert first.choose(ranking(1000, "a"))[0] == again.choose(ranking(1000, "a"))[0]
    assert first.choose(ranking(1000, "a"))[0] != first.choose(ranking(1000, "b"))[0]
    assert first.choose(ranking(1000, "a"))[0] != other.choose(ranking(1000, "a"))[0]


@pytest.mark.parametrize(
    ("ranks", "problem"),
    [
        (Ranks(n_deep=-1), "n_deep must be at least 0, got -1"),
        (Ranks(depth=40), "depth=40 must be at least config.mining.top=50"),
        (Ranks(top=5), "n_top=50 negatives of config.mining.top=5 ranks"),
        (Ranks(0, 0, 10, 0), "nothing would be mined"),
    ],
)
def test_ranks_that_cannot_be_taken_are_refused(ranks, problem):
    with pytest.raises(ValueError, match=problem):
        Chooser(ranks, {})


def test_only_what_is_judged_above_zero_is_an_answer():
    assert positives_of({"a": {"d1": 2, "d2": 0}, "b": {"d1": 0}, "c": {"d1": -1}}) == {"a": {"d1"}}


def test_false_negatives_by_margin_and_by_share():
    scores = {"answer": 10.0, "near": 9.7, "close": 9.2, "far": 2.0}
    assert FalseNegatives(margin=1.0).among(scores, {"answer"}) == {"near", "close"}
    assert FalseNegatives(margin=0.8).among(scores, {"answer"}) == {"near"}  # 9.2 is not above 9.2
    assert FalseNegatives(share=0.95).among(scores, {"answer"}) == {"near"}
    assert FalseNegatives(margin=0.8, share=0.1).among(scores, {"answer"}) == {"near", "close", "far"}
    assert FalseNegatives().among(scores, {"answer"}) == set()
    assert FalseNegatives(margin=1.0).among(scores, {"without a score"}) == set()
    assert not FalseNegatives()


def test_a_share_of_a_negative_score_lies_below_it_too():
    assert FalseNegatives(share=0.5).limit(-4.0) == -6.0
    assert FalseNegatives(share=1.0).limit(-4.0) == -4.0


def test_of_several_answers_the_one_the_teacher_likes_least_counts():
    scores = {"best": 10.0, "weak": 4.0, "x": 5.0, "y": 3.0}
    assert FalseNegatives(margin=0.0).among(scores, {"best", "weak"}) == {"x"}


def test_false_negatives_of_a_file_are_those_of_its_queries(tmp_path):
    write_scores(tmp_path / "s.jsonl", {"a": {"p": 5.0, "n": 6.0, "m": 1.0}, "b": {"p": 5.0, "n": 1.0}})
    found = false_negatives(tmp_path / "s.jsonl", {"a": {"p"}, "b": {"p"}}, FalseNegatives(margin=0.0))
    assert found == {"a": {"n"}}


@pytest.mark.parametrize(("options", "problem"), [({"margin": -1}, "margin"), ({"share": 0}, "share")])
def test_limits_out_of_range_are_refused(options, problem):
    with pytest.raises(ValueError, match=f"{problem} must be"):
        FalseNegatives(**options)
