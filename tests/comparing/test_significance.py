"""Expected values come from scipy, from enumerations by hand, or are laws."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from splade.comparing.significance import (
    confidence_interval,
    effect_size,
    holm,
    is_exact,
    randomisation_test,
    t_test,
)

SAMPLES = np.random.default_rng(7).normal(0.1, 0.3, 60)


def of_one(differences, **how):
    return float(randomisation_test(np.asarray(differences, float)[:, None], **how)[0])


def test_the_t_test_and_its_interval_are_those_of_scipy():
    first, second = SAMPLES, np.random.default_rng(8).normal(0, 0.2, 60)
    expected = stats.ttest_rel(first, second)
    assert t_test(first - second) == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval(0.9)
    assert confidence_interval(first - second, 0.9) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_few_differences_are_enumerated_as_scipy_does():
    few = SAMPLES[:11]
    expected = stats.permutation_test((few,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert of_one(few) == pytest.approx(expected.pvalue, rel=1e-12)


def test_the_exact_p_value_is_the_share_of_signs_that_are_as_extreme():
    # 3, 2 and 1 sum to 6; of the 8 assignments of signs only +++ and --- are as far from 0.
    assert of_one([3, 2, 1]) == 2 / 8
    # 1 - 1 + 2 = 2; the sums are 4, 2 (twice), 0 (twice), -2 (twice), -4: six of eight.
    assert of_one([1, -1, 2]) == 6 / 8
    assert of_one([0.1, 0.2, -0.3]) == 1.0  # whose sum is 0 but for rounding


def test_many_differences_are_sampled_near_the_exact_value_never_at_zero_and_alike_by_seed():
    few = SAMPLES[:14]
    exact, sampled = of_one(few), of_one(few, n_samples=10_000, seed=3)
    assert not is_exact(few, 10_000)
    assert sampled == pytest.approx(exact, abs=0.02)
    assert sampled == of_one(few, n_samples=10_000, seed=3) != of_one(few, n_samples=10_000, seed=4)
    assert of_one(np.ones(100), n_samples=999) == 1 / 1000


def test_memory_is_bounded_and_blocks_change_no_null_distribution(monkeypatch):
    monkeypatch.setattr("splade.comparing.significance.BLOCK", 4096)
    normal = 2 * stats.norm.sf(abs(SAMPLES.sum()) / math.sqrt((SAMPLES**2).sum()))  # of sums of random signs, nearly
    assert of_one(SAMPLES, n_samples=50_000) == pytest.approx(normal, abs=0.015)


def test_a_column_has_the_same_p_value_beside_others():
    columns = np.stack([SAMPLES, -2 * SAMPLES, np.zeros(60), np.where(np.arange(60) < 5, SAMPLES, 0)], axis=1)
    together = randomisation_test(columns, n_samples=2000)
    assert [of_one(column, n_samples=2000) for column in columns.T] == together.tolist()
    assert together[0] == together[1]  # neither scale nor sign matters
    assert together[2] == 1.0
    assert together[3] == of_one(SAMPLES[:5])  # queries without a difference add nothing


@pytest.mark.parametrize("differences", [np.zeros(5), [0.0], []])
def test_systems_that_do_not_differ_have_p_1(differences):
    assert (t_test(differences), of_one(differences), effect_size(differences)) == (1.0, 1.0, 0.0)


def test_constant_differences_divide_nothing_by_zero():
    constant = np.full(40, 0.1)
    assert t_test(constant) == 0.0
    assert of_one(constant, n_samples=999) == 1 / 1000
    assert math.isnan(effect_size(constant))
    assert confidence_interval(constant) == pytest.approx((0.1, 0.1))


def test_one_query_tells_nothing():
    assert (t_test([0.5]), of_one([0.5])) == (1.0, 1.0)
    assert all(map(math.isnan, (effect_size([0.5]), *confidence_interval([0.5]))))


def test_the_effect_is_the_mean_in_standard_deviations():
    assert effect_size([1, 2, 3]) == 2.0


def test_holm_corrects_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_closed_testing_with_bonferroni_rejects(p_values):
    """A hypothesis' corrected p-value is the largest Bonferroni p-value of all intersections that hold it."""
    numbers = range(len(p_values))
    subsets = [each for size in numbers for each in itertools.combinations(numbers, size + 1)]
    expected = [
        max(min(len(each) * min(p_values[other] for other in each), 1.0) for each in subsets if number in each)
        for number in numbers
    ]
    assert holm(p_values) == pytest.approx(expected)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="two dimensions"):
        randomisation_test([1.0, 2.0])
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        randomisation_test([[1.0]], n_samples=0)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        confidence_interval([1, 2], 95)
