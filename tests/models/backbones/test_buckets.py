"""Buckets of texts by length, against every possible way to cut."""

from itertools import combinations

import numpy as np
import pytest

from splade.models.backbones.buckets import Budget, length_buckets


def cost(parts, budget, most):
    """Padded tokens and calls; None where a part breaks a bound."""
    if any(len(part) > most or (len(part) > 1 and part[0] * len(part) > budget.tokens) for part in parts):
        return None
    return sum(part[0] * len(part) + budget.per_call for part in parts)


def cheapest(lengths, budget, most):
    descending = sorted(lengths, reverse=True)
    places = range(1, len(descending))
    every = [
        cost(np.split(np.array(descending), cuts), budget, most)
        for count in range(len(descending))
        for cuts in combinations(places, count)
    ]
    return min(found for found in every if found is not None)


@pytest.mark.parametrize("budget", [Budget(40, 5), Budget(12, 0), Budget(1000, 20), Budget(3, 1)])
@pytest.mark.parametrize("most", [2, 100])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_cut_costs_less(budget, most, seed):
    lengths = np.random.default_rng(seed).integers(1, 12, 9)
    buckets = length_buckets(lengths, budget, most)
    assert sorted(np.concatenate(buckets)) == list(range(9))
    assert cost([lengths[bucket] for bucket in buckets], budget, most) == cheapest(lengths, budget, most)


def test_buckets_go_from_long_to_short_and_keep_the_order_of_equals():
    buckets = length_buckets([2, 9, 2, 9, 0], Budget(18, 1))
    assert [bucket.tolist() for bucket in buckets] == [[1, 3], [0, 2, 4]]


def test_a_text_longer_than_the_budget_has_a_bucket_of_its_own():
    assert [bucket.tolist() for bucket in length_buckets([1, 50, 1], Budget(4, 1))] == [[1], [0, 2]]


def test_no_texts_make_no_buckets():
    assert length_buckets([], Budget(8, 1)) == []
