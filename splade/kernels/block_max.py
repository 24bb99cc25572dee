"""Exact search that leaves out blocks whose bound says that nothing in them can be among the k best.

Blocks are visited in descending order of bound, in batches that double, until the bar, the score of the
k-th best so far, has passed all that are left (Mallia, Suel and Tonellotto, "Faster Learned Sparse
Retrieval with Block-Max Pruning", 2024). After each batch it is asked what the rest would cost. Where
many blocks of a range survive, scoring all of the range is cheaper than visiting them one by one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.bounds import sum_bounds, weigh_levels
from splade.kernels.compiled import kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import bit_length, prefetch
from splade.kernels.stream import score_range, stream_all
from splade.kernels.topk import least_bits, raise_bar
from splade.kernels.visit import Pipeline, visit

# What things cost, in nanoseconds, on the machine that the defaults were measured on. Only their ratios
# matter, and they decide nothing but the way: results are the same.
VISIT, VISIT_TERM = 300.0, 80.0  # a block; each query term in it
RANGE, RANGE_TERM, POSTING = 5000.0, 120.0, 0.8  # scoring a range: zeroing and comparing; each run; each posting
BINS, BIN_BITS = 1024, 14  # the order of blocks: 512 bins to a factor of two below the largest bound
LANES = 64


class Scratch(NamedTuple):
    """What one thread needs for a query, and leaves as it found it."""

    scores: NDArray[np.float32]  # [2^range_bits] zeros
    pool: NDArray[np.uint64]  # more than k
    bounds: NDArray[np.float32]  # [stride]
    visits: NDArray[np.int64]  # [n_blocks]
    keys: NDArray[np.uint64]  # [n_blocks]
    units: NDArray[np.float32]  # [longest query]
    values: NDArray[np.float32]  # [longest query]
    rows: NDArray[np.int64]  # [longest query]
    pipeline: Pipeline


@kernel
def search_all(blocks, queries, first, last, k, floor, allowed, streams, shares, scratch, keys, counts):  # type: ignore[no-untyped-def]
    """Write the keys of the best documents of queries ``first`` to ``last``; with ``streams``, by scoring all.

    ``keys`` is uint64 [last - first, k], zeroed; ``counts`` int64 [last - first, 3], zeroed, receives
    blocks visited, ranges streamed, and postings touched. ``shares`` multiply bounds, by the bit length
    of the number of query terms: 1 is exact, less leaves out blocks that could but seldom do matter.
    """
    bar = (np.uint64(floor) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    for q in range(first, last):
        begin, end = queries.offsets[q], queries.offsets[q + 1]
        share = shares[bit_length(np.uint32(end - begin))]
        bounded = not streams and weigh_levels(blocks, queries, begin, end, share, scratch.units)
        if bounded:
            n = search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts[q - first])
        else:
            n, touched = stream_all(blocks, queries, begin, end, k, bar, allowed, scratch.scores, scratch.pool)
            counts[q - first, 1] = blocks.n_ranges
            counts[q - first, 2] = touched
        for i in range(n):
            keys[q - first, i] = scratch.pool[i]


@kernel
def search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts):  # type: ignore[no-untyped-def]
    """The keys of the k best documents at the front of the pool; returns how many. Assumes units weighed."""
    fetch_runs(blocks, queries, begin, end)
    sum_bounds(blocks, queries, begin, end, scratch.units, scratch.rows, scratch.values, scratch.bounds)
    bounds = scratch.bounds.view(np.uint32)
    top = np.uint32(0)
    for i in range(bounds.size):
        top = max(top, bounds[np.uint64(i)])
    stream_cost = cost_of_ranges(blocks, queries, begin, end)
    visit_cost = VISIT + VISIT_TERM * (end - begin)
    bins = np.zeros(BINS, np.int64)
    fill_bins(bounds, top, least_bits(bar), bins)
    batch = max(np.int64(0.08 * stream_cost / visit_cost), 8)
    upper = np.uint64(top) + np.uint64(1)  # blocks with lower bound bits have not been visited
    used = count = 0
    by_range = False
    while np.uint64(least_bits(bar)) < upper:
        lower, used = next_level(bins, used, batch, top)
        lower = max(lower, least_bits(bar))
        n = collect_level(bounds, lower, upper, scratch.visits, scratch.keys)
        by_range = n * visit_cost > 0.5 * stream_cost and n > 16  # very many alike: do not even start
        if by_range:
            break
        count, bar, scored, touched = visit(
            blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed,
            scratch.scores, scratch.pool, count, scratch.pipeline,
        )  # fmt: skip
        counts[0] += scored
        counts[2] += touched
        upper = np.uint64(lower)
        batch = max(2 * batch, n)
        by_range = worth_ranges(blocks, bounds, visit_cost, stream_cost, least_bits(bar), upper)
        if by_range:
            break
    if by_range:
        count, bar = finish_ranges(
            blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, visit_cost, stream_cost, counts
        )
    count, bar = raise_bar(scratch.pool, count, k, bar)
    return count


@kernel
def fetch_runs(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """Ask for the directory of the query's terms, which every visit reads."""
    width = 2 * (blocks.n_ranges + 1)
    for i in range(begin, end):
        prefetch(blocks.head_rows, np.int64(queries.columns[i]))
        for entry in range(queries.columns[i] * width, (queries.columns[i] + 1) * width, 16):
            prefetch(blocks.runs, entry)


@kernel
def cost_of_ranges(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """Nanoseconds to score all documents, about."""
    postings = 0
    for i in range(begin, end):
        postings += blocks.offsets[queries.columns[i] + 1] - blocks.offsets[queries.columns[i]]
    return POSTING * postings + blocks.n_ranges * (RANGE + RANGE_TERM * (end - begin))


@kernel
def fill_bins(bounds, top, least, bins):  # type: ignore[no-untyped-def]
    """Count the blocks by how far their bound is below the top; those far below are not counted."""
    lowest = max(np.int64(top) - (BINS << BIN_BITS), np.int64(least))
    for start in range(0, bounds.size, LANES):
        hits = np.uint32(0)
        for i in range(start, start + LANES):
            hits += np.uint32(bounds[np.uint64(i)] > lowest)
        if hits:
            for i in range(start, start + LANES):
                if bounds[np.uint64(i)] > lowest:
                    bins[np.uint64((top - bounds[np.uint64(i)]) >> np.uint32(BIN_BITS))] += 1


@kernel
def next_level(bins, used, batch, top):  # type: ignore[no-untyped-def]
    """Lowest bits of bound of the next ``batch`` blocks or some more, and the bins used up to there."""
    taken = 0
    while used < BINS and taken < batch:
        taken += bins[used]
        used += 1
    if used == BINS and taken < batch:
        return np.uint32(1), used
    return np.uint32(max(np.int64(top) - (used << BIN_BITS) + 1, 1)), used


@kernel
def collect_level(bounds, lower, upper, visits, keys):  # type: ignore[no-untyped-def]
    """Write the blocks with bound bits in [lower, upper) in descending order; returns how many."""
    n = 0
    for start in range(0, bounds.size, LANES):
        hits = np.uint32(0)
        for i in range(start, start + LANES):
            hits += np.uint32(bounds[np.uint64(i)] >= lower)
        if hits:
            for i in range(start, start + LANES):
                if lower <= bounds[i] < upper:
                    keys[n] = (np.uint64(bounds[i]) << np.uint64(32)) | np.uint64(i)
                    n += 1
    keys[:n].sort()
    for i in range(n):
        visits[i] = np.int64(keys[n - 1 - i] & np.uint64(0xFFFFFFFF))
    return n


@kernel
def count_between(bounds, start, stop, least, upper):  # type: ignore[no-untyped-def]
    """How many blocks of [start, stop) have bound bits in [least, upper)."""
    above = np.uint32(0)
    low, high = np.uint32(least), np.uint32(upper - np.uint64(1))
    for i in range(start, stop):
        above += np.uint32((bounds[np.uint64(i)] >= low) & (bounds[np.uint64(i)] <= high))
    return np.int64(above)


@kernel
def worth_ranges(blocks, bounds, visit_cost, stream_cost, least, upper):  # type: ignore[no-untyped-def]
    """Whether going range by range, each the cheaper way, beats visiting all blocks that are left in order."""
    if np.uint64(least) >= upper:
        return False
    left = count_between(bounds, 0, bounds.size, least, upper)
    if left * visit_cost < 0.25 * stream_cost:
        return False
    per_range = stream_cost / blocks.n_ranges
    bits = blocks.range_bits - blocks.block_bits
    planned = 0.0
    for r in range(blocks.n_ranges):
        found = count_between(bounds, r << bits, min((r + 1) << bits, blocks.n_blocks), least, upper)
        planned += min(found * visit_cost, per_range)
    return planned < 0.6 * left * visit_cost


@kernel
def finish_ranges(  # type: ignore[no-untyped-def]
    blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, visit_cost, stream_cost, counts
):  # fmt: skip
    """Score the blocks with bound bits below ``upper`` range by range, each by visits or as a whole."""
    bounds = scratch.bounds.view(np.uint32)
    bits = scratch.scores.view(np.uint32)
    per_range = stream_cost / blocks.n_ranges
    shift = blocks.range_bits - blocks.block_bits
    size = np.int64(1) << blocks.block_bits
    for r in range(blocks.n_ranges):
        start, stop = r << shift, min((r + 1) << shift, blocks.n_blocks)
        found = count_between(bounds, start, stop, least_bits(bar), upper)
        if found * visit_cost < per_range:
            n = 0
            least = least_bits(bar)
            for block in range(start, stop):
                if found and least <= bounds[block] < upper:
                    scratch.visits[n] = block
                    n += 1
            count, bar, scored, touched = visit(
                blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed,
                scratch.scores, scratch.pool, count, scratch.pipeline,
            )  # fmt: skip
            counts[0] += scored
        else:
            touched = score_range(blocks, queries, begin, end, r, scratch.scores)
            counts[1] += 1
            origin = r << blocks.range_bits
            for block in range(start, stop):
                if least_bits(bar) <= bounds[block] < upper:
                    low = (block << blocks.block_bits) - origin
                    high = min(low + size, blocks.n_docs - origin)
                    count, bar = gather(bits, low, high, origin, blocks.order, allowed, scratch.pool, count, k, bar)
            scratch.scores[:] = 0
        counts[2] += touched
    return count, bar
