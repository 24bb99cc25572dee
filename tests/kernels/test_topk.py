import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.kernels.compiled import read_only
from splade.kernels.topk import as_key, decode, keep_best, nth_largest, score_bits

LARGEST_SCORE = float(np.finfo(np.float32).max)
scores_and_docs = st.lists(
    st.tuples(st.one_of(st.sampled_from([1.0, 2.0]), st.floats(0, LARGEST_SCORE, width=32)), st.integers(0, 2**31 - 1)),
    unique_by=lambda pair: pair[1],
    min_size=1,
    max_size=40,
)


def keys_of(pairs):
    return np.array([as_key(score_bits(score), doc) for score, doc in pairs], np.uint64)


@given(scores_and_docs)
@settings(deadline=None)
def test_a_key_gives_its_score_and_document_back(pairs):
    docs, scores = decode(keys_of(pairs))
    assert docs.tolist() == [doc for _, doc in pairs]
    assert scores.tolist() == [score for score, _ in pairs]


def test_the_empty_key_is_no_document_with_score_zero():
    docs, scores = decode(np.zeros(1, np.uint64))
    assert (docs.tolist(), scores.tolist()) == ([-1], [0.0])


@given(scores_and_docs, st.integers(1, 45))
@settings(deadline=None)
def test_the_best_are_those_that_sorting_puts_first(pairs, k):
    expected = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))[:k]
    pool = keys_of(pairs)
    count, bar = keep_best(pool, len(pairs), k, score_bits(0.0))
    docs, scores = decode(np.sort(pool[:count])[::-1])
    assert list(zip(scores.tolist(), docs.tolist(), strict=True)) == expected
    assert bar == (score_bits(expected[-1][0]) if len(pairs) >= k else 0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.sampled_from([1, 3, 40, 10**6]), st.data())
@settings(deadline=None)
def test_the_best_of_many_with_equal_scores_are_those_that_sorting_puts_first(seed, n, different, data):
    """More than are compared at a time, and a cut that goes through equal scores, or through none."""
    draw = np.random.default_rng(seed)
    scores, docs = draw.integers(1, different + 1, n).astype(np.float32), draw.permutation(10 * n)[:n]
    pool = keys_of(zip(scores, docs.tolist(), strict=True))
    k = data.draw(st.integers(1, n))
    expected = np.sort(pool)[::-1][:k]
    count, bar = keep_best(pool, n, k, score_bits(0.0))
    assert np.sort(pool[:count])[::-1].tolist() == expected.tolist()
    assert bar == expected[-1] >> np.uint64(32)


@given(st.lists(st.floats(0, LARGEST_SCORE, width=32), min_size=1, max_size=20), st.data())
@settings(deadline=None)
def test_the_nth_largest_is_where_sorting_puts_it(weights, data):
    n = data.draw(st.integers(1, len(weights)))
    assert nth_largest(read_only(np.array(weights, np.float32)), n) == sorted(weights, reverse=True)[n - 1]


def test_the_bar_never_sinks():
    assert keep_best(keys_of([(1.0, 0), (2.0, 1)]), 2, 2, score_bits(3.0))[1] == score_bits(3.0)


def test_a_negative_zero_is_zero():
    assert score_bits(-0.0) == 0
