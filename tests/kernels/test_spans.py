"""Scoring some blocks of a range: the same bits as scoring all of it, however runs are read."""

from functools import cache

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.indexing import InvertedIndex
from splade.indexing.format.choices import Shape
from splade.kernels.compiled import read_only_rows
from splade.kernels.parts import best_range, forget_range
from splade.kernels.plan import SPAN, SPANNED
from splade.kernels.spans import (
    MOST_SPANS,
    WHOLE,
    choose_widths,
    list_spans,
    list_stretches,
    new_spans,
    plan_spans,
    score_spans,
)
from splade.kernels.stream import score_range
from tests.kernels.cases import batch

N_DOCS, V = 5000, 24  # two ranges of 4,096, the second of which is not full
SHAPE = Shape(range_bits=12, block_bits=4)
WIDTHS = SHAPE.range_bits - SHAPE.block_bits
ANY = st.lists(st.integers(0, (1 << WIDTHS) - 1), min_size=1, max_size=60, unique=True).map(sorted)
REGULAR = st.builds(lambda first, step: list(range(first, 1 << WIDTHS, step)), st.integers(0, 5), st.integers(2, 9))
LIVE = ANY | ANY.map(lambda blocks: blocks[:5]) | REGULAR


@numba.njit
def part(blocks, queries, q, r, spans, scores):
    begin, end = queries.offsets[q], queries.offsets[q + 1]
    plan_spans(blocks, queries, begin, end, r, spans)
    n, cost = list_spans(blocks, queries, begin, end, spans)
    return score_spans(blocks, queries, begin, r, n, spans, scores), n, cost


@numba.njit
def forget(blocks, bounds, peaks, r):
    forget_range(blocks, bounds, peaks, r)


@numba.njit
def whole(blocks, queries, q, r, scores):
    return score_range(blocks, queries, queries.offsets[q], queries.offsets[q + 1], r, scores)


@cache
def collection(weights):
    """An index whose terms are in 1 of 100 documents to 9 of 10, and queries of all terms or of some."""
    rng = np.random.default_rng(5)
    matrix = rng.random((N_DOCS, V), np.float32) * (rng.random((N_DOCS, V)) < np.geomspace(0.01, 0.9, V))
    blocks = InvertedIndex.from_csr(batch(matrix), weights=weights, cluster=False, shape=SHAPE).blocks
    queries = np.vstack([np.ones((1, V)), rng.random((3, V)) * (rng.random((3, V)) < 0.5)]).astype(np.float32)
    return blocks, read_only_rows(batch(queries).rows)


def blocks_of(live, r):
    """The blocks of a range that are there, counted from its first."""
    n = min(N_DOCS - r * (1 << SHAPE.range_bits), 1 << SHAPE.range_bits)
    return np.array([block for block in live if block << SHAPE.block_bits < n] or [0], np.int64)


@pytest.mark.parametrize("weights", ["float32", "float16", "uint8"])
@given(LIVE, st.integers(0, 1), st.integers(0, 3), st.data())
@settings(deadline=None, max_examples=100)
def test_blocks_get_the_scores_of_the_whole_range(weights, live, r, q, data):
    blocks, queries = collection(weights)
    live, spans = blocks_of(live, r), new_spans(blocks, V)
    list_stretches(live, 0, spans)
    for table in range(WIDTHS + 1):  # not the cheapest, but any that there is
        spans.best[table] = data.draw(st.sampled_from([*range(WIDTHS - table, WIDTHS), WHOLE]))
    scores, expected = (np.zeros(1 << SHAPE.range_bits, np.float32) for _ in range(2))
    touched, n, cost = part(blocks, queries, q, r, spans, scores)
    everything = whole(blocks, queries, q, r, expected)
    size = 1 << SHAPE.block_bits
    for block in live:
        place = slice(block * size, (block + 1) * size)
        np.testing.assert_array_equal(scores[place].view(np.uint32), expected[place].view(np.uint32))
    assert touched <= everything
    assert n <= MOST_SPANS + V
    assert cost >= n * SPAN + touched * SPANNED


@given(LIVE)
@settings(deadline=None)
def test_stretches_are_the_slots_that_hold_a_block_at_every_width(live):
    spans = new_spans(collection("float32")[0], 1)
    list_stretches(np.array(live) + 1000, 1000, spans)
    for width in range(WIDTHS + 1):
        n = spans.stretches[width]
        starts, stops = spans.starts[width, :n], spans.stops[width, :n]
        held = sorted({block >> width for block in live})
        assert [slot for start, stop in zip(starts, stops, strict=True) for slot in range(start, stop)] == held
        assert (starts[1:] > stops[:-1]).all()  # those that touch are one
        assert spans.slots[width] == len(held)


def test_the_width_is_the_finest_for_long_runs_and_few_blocks_and_none_for_short_ones():
    spans = new_spans(collection("float32")[0], 1)
    list_stretches(np.array([3, 200]), 0, spans)
    choose_widths(spans)
    assert spans.best[WIDTHS] == 0
    assert spans.best[0] == spans.best[1] == WHOLE
    list_stretches(np.arange(1 << WIDTHS), 0, spans)
    choose_widths(spans)
    assert (spans.best == WHOLE).all()


def test_runs_for_whose_spans_there_is_no_room_are_read_as_a_whole():
    """Each of 200 terms has a long run; one block in four makes 64 spans of each, and there is room for 8,192."""
    n_terms = 200
    matrix = np.random.default_rng(1).random((1 << SHAPE.range_bits, n_terms), np.float32)
    matrix *= np.random.default_rng(2).random(matrix.shape) < 0.45
    blocks = InvertedIndex.from_csr(batch(matrix), cluster=False, shape=SHAPE).blocks
    queries = read_only_rows(batch(np.ones((1, n_terms))).rows)
    spans, scores, expected = new_spans(blocks, n_terms), *(np.zeros(1 << SHAPE.range_bits, np.float32) for _ in "ab")
    list_stretches(np.arange(0, 1 << WIDTHS, 4), 0, spans)
    own = 1  # runs of about 1,840 postings have tables of 2^7 slots
    spans.best[:] = own
    part(blocks, queries, 0, 0, spans, scores)
    n_read = np.count_nonzero(spans.widths != WHOLE)
    assert n_read == MOST_SPANS // 64 < n_terms
    whole(blocks, queries, 0, 0, expected)
    scored = scores.reshape(1 << WIDTHS, -1)[::4]
    np.testing.assert_array_equal(scored, expected.reshape(1 << WIDTHS, -1)[::4])


@given(st.lists(st.integers(0, 5), min_size=128, max_size=128), st.integers(1, 5))
@settings(deadline=None)
def test_the_best_range_is_the_first_with_most_blocks(levels, least):
    blocks = collection("float32")[0]._replace(range_bits=np.int64(9), block_bits=np.int64(4), n_blocks=np.int64(128))
    bounds = np.array(levels, np.uint32)
    peaks = bounds.reshape(-1, 64).max(axis=1)
    of_range = np.count_nonzero(((bounds >= least) & (bounds < 5)).reshape(-1, 32), axis=1)
    best, most = best_range.py_func(blocks, bounds, peaks, np.uint64(least), np.uint64(5))
    assert most == of_range.max(initial=0)
    assert best == np.argmax(of_range)


def test_a_range_that_is_done_with_has_no_bounds_and_others_keep_their_peaks():
    """Two ranges of 32 blocks share a group of 64."""
    blocks = collection("float32")[0]._replace(range_bits=np.int64(9), block_bits=np.int64(4), n_blocks=np.int64(128))
    bounds = np.arange(1, 129, dtype=np.uint32)
    peaks = bounds.reshape(-1, 64).max(axis=1)
    forget(blocks, bounds, peaks, 1)
    assert bounds[31] == 32
    assert (bounds[32:64] == 0).all()
    assert peaks.tolist() == [32, 128]
