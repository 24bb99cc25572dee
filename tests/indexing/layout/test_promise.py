"""The recall that a sample lets a search promise: bounds by hand, laws, and samples drawn again and again."""

import math

import numpy as np
import pytest

from splade.indexing.layout.promise import (
    ENOUGH,
    GROUPS,
    K_GRID,
    SHARES,
    divergence,
    enclosing,
    lower_bound,
    promise,
    summed_up,
    terms_said,
)


def recalls(n, mean):
    """``n`` rows of recalls that fall from 1 to ``mean`` at the second share, and stay there."""
    rows = np.full((n, len(SHARES)), mean)
    rows[:, 0] = 1
    return rows


def test_a_sample_that_finds_everything_has_the_lower_bound_worked_by_hand():
    # KL(1, m) = -ln m, so n·(-ln m) = ln 20 at m = 20 ** (-1 / n)
    for n in (1, 20, 149, 1000):
        assert lower_bound(np.ones(1), n)[0] == pytest.approx(0.05 ** (1 / n), abs=1e-8)
    assert lower_bound(np.ones(1), 149)[0] >= 0.98 > lower_bound(np.ones(1), 148)[0]


def test_a_lower_bound_solves_its_equation():
    # by hand: KL(.9, .8) = .9 ln(.9 / .8) + .1 ln(.1 / .2) = .036690, so n·KL = ln 20 at n = 81.65
    assert divergence(np.array(0.9), np.array(0.8)) == pytest.approx(0.0366900, abs=1e-6)
    assert lower_bound(np.array([0.9]), 81)[0] < 0.8 < lower_bound(np.array([0.9]), 82)[0]
    assert lower_bound(np.zeros(1), 50)[0] == 0


def test_a_promise_is_less_than_was_measured_and_nears_it_with_the_sample():
    mean = np.array([0.97])
    promised = [float(promise(mean, n)[0]) for n in (10, 100, 1000, 100_000)]
    assert promised == sorted(promised)
    assert promised[-1] < 0.97
    assert promised[-1] == pytest.approx(0.97, abs=1e-4)
    # one more query that finds nothing: 99 perfect ones promise .99 at most, and their lower bound + .01 less
    assert promise(np.ones(1), 99)[0] == pytest.approx(min(0.99, 0.05 ** (1 / 99) + 0.01))


@pytest.mark.parametrize("n_queries", [60, 200])
def test_the_mean_of_all_is_seldom_below_the_lower_bound_of_a_sample(n_queries):
    """The law, on recalls of which most are 1: of 4000 samples, at most one in twenty bounds is above the mean."""
    rng = np.random.default_rng(3)
    drawn = np.where(rng.random((4000, n_queries)) < 0.1, rng.random((4000, n_queries)), 1.0)
    missed = lower_bound(drawn.mean(axis=1), n_queries) > 0.95
    assert missed.mean() <= 0.05
    nothing = np.where(rng.random((4000, n_queries)) < 0.02, 0.0, 1.0)  # the worst case: all or nothing
    assert (lower_bound(nothing.mean(axis=1), n_queries) > 0.98).mean() <= 0.05 + 0.012


@pytest.mark.parametrize("recall", [0.95, 0.99])
def test_shares_chosen_on_samples_keep_the_recall_for_other_queries(recall):
    """100 samples of queries whose recall at share s is 1 down to a place of their own and 0 below."""
    rng = np.random.default_rng(1)
    places = rng.beta(4, 2, (100, 300)) * len(SHARES)
    kept = []
    for sample in places:
        rows = (np.arange(len(SHARES)) <= sample[:, None]).astype(float)
        share = summed_up({(10, 4): rows}).chosen(10, 10, recall)[4]
        kept.append((rng.beta(4, 2, 4000) * len(SHARES) >= share).mean())
    assert np.mean(kept) >= recall
    assert np.mean(np.array(kept) < recall - 0.01) <= 0.05


def test_a_small_sample_promises_less_and_a_smaller_one_nothing():
    chosen = [summed_up({(10, 3): recalls(n, 0.999)}).chosen(10, 10, 0.99)[3] for n in (20, 140, 200, 2000)]
    assert chosen == [0, 0, len(SHARES) - 1, len(SHARES) - 1]


def test_a_group_takes_in_shorter_queries_and_no_longer_ones():
    few, many = recalls(30, 1.0), recalls(ENOUGH, 0.995)
    made = summed_up({(10, 3): many, (10, 4): few})
    assert made.n_used.tolist() == [0, 0, 0, 256, 286, 286, 286, 286]
    assert made.n_own.tolist() == [0, 0, 0, 256, 30, 0, 0, 0]
    assert made.measured[1, 4, 5] == pytest.approx((256 * 0.995 + 30) / 286)
    assert made.chosen(10, 10, 0.98)[2:6].tolist() == [0, 35, 35, 35], "shorter ones than any are searched exactly"
    longer = summed_up({(10, 4): many, (10, 3): few})
    assert longer.n_used[3:5].tolist() == [30, 256], "a group with enough of its own takes none"


def test_a_groups_own_queries_limit_what_shorter_ones_promise():
    made = summed_up({(10, 3): recalls(ENOUGH, 1.0), (10, 4): recalls(10, 0.9)})
    assert made.chosen(10, 10, 0.95)[3:5].tolist() == [35, 0]


def test_between_two_k_that_were_tried_the_larger_share_holds():
    found = {(k, 3): recalls(400, mean) for k, mean in zip(K_GRID, (0.9, 1.0, 0.9, 1.0), strict=True)}
    made = summed_up(found)
    assert made.chosen(10, 10, 0.95)[3] == 35
    assert made.chosen(11, 11, 0.95)[3] == 0
    assert made.chosen(5, 10, 0.95)[3] == 0
    assert [enclosing(*ranks) for ranks in ((1, 1), (2, 2), (10, 10), (11, 99), (1, 1000))] == [
        (0, 0), (0, 1), (1, 1), (1, 2), (0, 3),
    ]  # fmt: skip


def test_no_k_beyond_the_collection_is_promised():
    made = summed_up({(1, 3): recalls(400, 1.0)})
    assert made.chosen(1, 1, 0.95)[3] == 35
    assert made.chosen(2, 2, 0.95)[3] == 0


def test_the_account_names_queries_date_groups_and_recall():
    made = summed_up({(10, 3): recalls(300, 1.0)}, source="asked.jsonl", n_queries=300, date="2026-11-29")
    assert made.said == "300 queries of asked.jsonl (2026-11-29)"
    told = made.told()
    assert (told["queries"], told["n_queries"], told["date"]) == ("asked.jsonl", 300, "2026-11-29")
    assert told["k"]["10"]["8 to 15 terms"] == {"share": 0.3, "measured": 1.0, "queries": 300, "queries_used": 300}
    assert told["k"]["100"] == {}
    lines = list(made.lines())
    assert "k = 10, 8 to 15 terms: share 0.30 of bounds, recall 1.0000 measured on 300 queries" in lines
    assert "k = 10, 16 to 31 terms: share 0.30 of bounds, recall 1.0000 measured on 300 queries" not in lines
    assert any(
        line.startswith("k = 10, 16 to 31 terms: ") and "0 queries and 300 shorter ones" in line for line in lines
    )
    assert "k = 100, all queries: exact, to have a recall of 0.99" in lines


def test_groups_are_named_by_their_numbers_of_terms():
    assert [terms_said(group) for group in (0, 1, GROUPS - 1)] == ["1 term", "2 to 3 terms", "128 terms and more"]
    assert math.isclose(SHARES[-1], 0.3, rel_tol=1e-6)
