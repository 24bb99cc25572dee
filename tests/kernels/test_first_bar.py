"""The bar that is found before the first documents are gathered, and what searches remember of bounds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.indexing import InvertedIndex
from splade.kernels.compiled import read_only_rows
from splade.kernels.plan import DOUBT, KEPT, LONGEST_REST, RESTS, SAVED, TRIED, remember, worth_bounds
from splade.kernels.stream import MANY, bar_of_sample
from splade.kernels.topk import nth_largest_bits
from tests.kernels.cases import random_batch


@given(st.integers(0, 2**32 - 1), st.integers(MANY, 400), st.integers(400, 8000), st.sampled_from([0.0, 0.5, 0.99]))
@settings(deadline=None, max_examples=40)
def test_a_bar_is_below_the_keys_of_at_least_k_documents(seed, k, n, zeros):
    draw = np.random.default_rng(seed)
    scores = np.where(draw.random(n) < zeros, 0, np.round(draw.gamma(1, 2, n), 1)).astype(np.float32)
    bits = scores.view(np.uint32)
    bar = bar_of_sample.py_func(bits, n, k)
    if bar > 0:
        assert np.count_nonzero((bits.astype(np.uint64) << np.uint64(32)) > bar) >= k


def test_a_bar_lets_less_than_twice_k_of_many_scores_pass():
    scores = np.random.default_rng(0).permutation(32768).astype(np.float32) + 1
    bar = bar_of_sample.py_func(scores.view(np.uint32), 32768, 1000)
    least = np.uint32((int(bar) + 1) >> 32).view(np.float32)
    assert 1000 <= np.count_nonzero(scores >= least) <= 2000


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30), st.data())
@settings(deadline=None)
def test_as_many_as_wanted_reach_the_nth_largest(numbers, data):
    n = data.draw(st.integers(1, len(numbers)))
    bits = np.array(numbers, np.uint32)
    reached = np.count_nonzero(bits >= nth_largest_bits(bits, n))
    assert reached >= n
    assert reached == n or sorted(numbers)[-n] == sorted(numbers)[-n - 1]


def test_bounds_that_did_not_pay_rest_for_twice_as_many_queries_each_time():
    memory = np.zeros(KEPT, np.int64)
    rests = []
    for _ in range(9):
        remember(2000.0, 1000.0, memory)
        rests.append(int(memory[RESTS]))
    assert rests == [1, 3, 7, 15, 31, 63, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_a_query_does_without_bounds_as_long_as_they_rest():
    blocks = InvertedIndex.from_csr(random_batch(0, 9000, 60), cluster=True).blocks
    queries, memory = read_only_rows(random_batch(1, 4, 60).rows), np.array([2, 2, 0], np.int64)
    tried = [worth_bounds(blocks, queries, 0, int(queries.offsets[1]), memory) for _ in range(2)]
    assert tried == [False, False]
    assert memory[RESTS] == 0


def test_bounds_that_paid_are_tried_again_at_once():
    memory = np.array([0, LONGEST_REST, 0], np.int64)
    remember(10.0, 1000.0, memory)
    assert (memory[RESTS], memory[TRIED]) == (0, LONGEST_REST // 2)


def test_a_gain_below_the_doubt_about_costs_is_none():
    memory = np.zeros(KEPT, np.int64)
    remember(1000.0 * (DOUBT + 1) / 2, 1000.0, memory)
    assert memory[RESTS] == 1


def test_small_losses_after_a_large_gain_are_no_reason_to_rest():
    """A query whose ranges are scored whole costs its bounds besides; one that visits nothing saves nearly all."""
    memory = np.zeros(KEPT, np.int64)
    remember(100.0, 1000.0, memory)
    assert 500 < memory[SAVED] <= 1000
    rests = []
    for _ in range(60):
        remember(1000.0, 1000.0, memory)
        rests.append(int(memory[RESTS] > 0))
    assert rests[:2] == [0, 0]
    assert rests[-1] == 1  # the gain is forgotten
    assert rests == sorted(rests)
