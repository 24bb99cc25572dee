"""Exact search that leaves out blocks whose bound says that nothing in them can be among the k best.

Blocks are visited in descending order of bound, in batches that double, until the bar, the score of the
k-th best so far, has passed all that are left (Mallia, Suel and Tonellotto, "Faster Learned Sparse
Retrieval with Block-Max Pruning", 2024). After each batch it is asked what the rest would cost. Where
many blocks of a range survive, scoring all of the range is cheaper than visiting them one by one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import Blocks
from splade.kernels.bounds import LANES, collect, count_between, find_level, find_peaks, sum_bounds, weigh_levels
from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import bit_length, prefetch
from splade.kernels.plan import (
    FEWEST,
    HOPELESS,
    WASTE,
    cost_of_bounds,
    cost_of_ranges,
    cost_of_visit,
    remember,
    worth_bounds,
)
from splade.kernels.stream import score_range, stream_all
from splade.kernels.topk import least_bits, raise_bar
from splade.kernels.visit import Pipeline, new_pipeline, visit

STREAM, BOUND, CHOOSE = 0, 1, 2  # plans of `search_all`
SPARE = 64


class Scratch(NamedTuple):
    """The memory that one thread needs for a query, and leaves as it found it."""

    scores: NDArray[np.float32]  # [2^range_bits] zeros
    pool: NDArray[np.uint64]  # more than k
    bounds: NDArray[np.float32]  # [stride]
    peaks: NDArray[np.uint32]  # [stride / LANES]
    visits: NDArray[np.int64]  # [stride]
    keys: NDArray[np.uint64]  # [stride]
    units: NDArray[np.float32]  # [longest query]
    values: NDArray[np.float32]  # [longest query]
    rows: NDArray[np.int64]  # [longest query]
    pipeline: Pipeline


def pool_size(k: int) -> int:
    """Keys that are gathered before the k best are picked."""
    return k + max(k, SPARE)


def new_scratch(blocks: Blocks, k: int, longest: int) -> Scratch:
    """For k results of queries of up to ``longest`` terms."""
    stride = blocks.head.shape[1]
    return Scratch(
        scores=np.zeros(1 << int(blocks.range_bits), np.float32),
        pool=np.empty(pool_size(k), np.uint64),
        bounds=np.zeros(stride, np.float32),
        peaks=np.empty(stride // LANES, np.uint32),
        visits=np.empty(stride, np.int64),
        keys=np.empty(stride, np.uint64),
        units=np.empty(longest, np.float32),
        values=np.empty(longest, np.float32),
        rows=np.empty(longest, np.int64),
        pipeline=new_pipeline(blocks, longest),
    )


@kernel
def search_all(blocks, queries, first, last, k, floor, allowed, plan, shares, memory, scratch, keys, counts):  # type: ignore[no-untyped-def]
    """Write the keys of the best documents of queries ``first`` to ``last``.

    ``plan`` is STREAM to score all documents, BOUND to look at bounds in any case, CHOOSE for the cheaper.
    ``keys`` is uint64 [last - first, k], zeroed; ``counts`` int64 [last - first, 3], zeroed, receives
    blocks visited, ranges streamed, and postings touched. ``shares`` multiply bounds, by the bit length
    of the number of query terms: 1 is exact, less leaves out blocks that could but seldom do matter. ``memory`` is
    int64 [bit lengths, KEPT], zeros at first: `splade.kernels.plan` keeps in it whether bounds have paid.
    """
    bar = (np.uint64(floor) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    for q in range(first, last):
        begin, end = queries.offsets[q], queries.offsets[q + 1]
        length = np.int64(bit_length(np.uint32(end - begin)))
        bounded = plan == BOUND or (plan == CHOOSE and worth_bounds(blocks, queries, begin, end, memory[length]))
        if bounded and weigh_levels(blocks, queries, begin, end, shares[length], scratch.units):
            n = search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts[q - first])
            remember(blocks, queries, begin, end, counts[q - first], memory[length])
        else:
            n, touched = stream_all(blocks, queries, begin, end, k, bar, allowed, scratch.scores, scratch.pool)
            counts[q - first, 1] = blocks.n_ranges
            counts[q - first, 2] = touched
        for i in range(n):
            keys[q - first, i] = scratch.pool[i]


@inner_kernel
def search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts):  # type: ignore[no-untyped-def]
    """The keys of the k best documents at the front of the pool; returns how many. Assumes units weighed."""
    fetch_runs(blocks, queries, begin, end)
    sum_bounds(blocks, queries, begin, end, scratch.units, scratch.rows, scratch.values, scratch.bounds)
    bounds, peaks = scratch.bounds.view(np.uint32), scratch.peaks
    upper = np.uint64(find_peaks(bounds, peaks)) + np.uint64(1)  # blocks with lower bits have not been visited
    everything, each = cost_of_ranges(blocks, queries, begin, end), cost_of_visit(blocks, queries, begin, end)
    spent = cost_of_bounds(blocks, queries, begin, end)
    budget = max(WASTE * everything, spent + FEWEST * each)
    batch = max((budget - spent) / each / 4, FEWEST)
    count, tries = np.int64(0), 0
    while np.uint64(least_bits(bar)) < upper:
        least = least_bits(bar)
        room = (budget - spent) / each
        if tries == 1 and count_between(bounds, peaks, least, upper) * each > HOPELESS * everything:
            break
        if room < 1:
            left = count_between(bounds, peaks, least, upper)
            if spent + left * each > everything or worth_ranges(blocks, bounds, each, everything, left, least, upper):
                break
            room = 2.0 * left
        lower, n = find_level(bounds, peaks, least, upper, np.int64(max(min(batch, room / 2), 1)))
        if n > room + 1:  # too many are alike
            break
        collect(bounds, peaks, lower, upper, scratch.visits, scratch.keys)
        count, bar, scored, touched = visit(
            blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed,
            scratch.pool, count, scratch.pipeline,
        )  # fmt: skip
        counts[0] += scored
        counts[2] += touched
        spent += scored * each
        upper = np.uint64(lower)
        batch *= 2
        tries += 1
    if np.uint64(least_bits(bar)) < upper:
        count, bar = finish_ranges(
            blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, each, everything, counts
        )
    count, bar = raise_bar(scratch.pool, count, k, bar)
    return count


@inner_kernel
def fetch_runs(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """Ask for the directory of the query's terms, which every visit reads."""
    width = 2 * (blocks.n_ranges + 1)
    for i in range(begin, end):
        prefetch(blocks.head_rows, np.int64(queries.columns[i]))
        for entry in range(queries.columns[i] * width, (queries.columns[i] + 1) * width, 16):
            prefetch(blocks.runs, entry)


@inner_kernel
def worth_ranges(blocks, bounds, each, everything, left, least, upper):  # type: ignore[no-untyped-def]
    """True where going range by range, each the cheaper way, beats visiting all blocks that are left in order."""
    per_range = everything / blocks.n_ranges
    planned = 0.0
    for r in range(blocks.n_ranges):
        start, stop = blocks_of_range(r, blocks.range_bits - blocks.block_bits, blocks.n_blocks)
        planned += min(count_in_range(bounds, start, stop, least, upper) * each, per_range)
    return planned < 0.6 * left * each


@inner_kernel
def count_in_range(bounds, start, stop, least, upper):  # type: ignore[no-untyped-def]
    """Count the blocks from ``start`` to ``stop`` that have bound bits in [least, upper)."""
    low, high = np.uint32(least), np.uint32(upper - np.uint64(1))
    found = np.uint32(0)
    for i in range(start, stop):
        found += np.uint32((bounds[np.uint64(i)] >= low) & (bounds[np.uint64(i)] <= high))
    return np.int64(found)


@inner_kernel
def finish_ranges(  # type: ignore[no-untyped-def]
    blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, each, everything, counts
):  # fmt: skip
    """Score the blocks with bound bits below ``upper`` range by range, each by visits or as a whole."""
    bounds = scratch.bounds.view(np.uint32)
    bits = scratch.scores.view(np.uint32)
    size = np.int64(1) << blocks.block_bits
    for r in range(blocks.n_ranges):
        start, end_of_range = blocks_of_range(r, blocks.range_bits - blocks.block_bits, blocks.n_blocks)
        least = least_bits(bar)
        n = count_in_range(bounds, start, end_of_range, least, upper)
        if n * each < everything / blocks.n_ranges:
            list_in_range(bounds, start, end_of_range, least, upper, scratch.visits)
            count, bar, scored, touched = visit(
                blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed,
                scratch.pool, count, scratch.pipeline,
            )  # fmt: skip
            counts[0] += scored
        else:
            touched = score_range(blocks, queries, begin, end, r, scratch.scores)
            counts[1] += 1
            forget_visited(bounds, scratch.peaks, start, end_of_range, size, upper, scratch.scores)
            origin = r << blocks.range_bits
            stop = min(scratch.scores.size, blocks.n_docs - origin)
            count, bar = gather(bits, np.int64(0), stop, origin, blocks.order, allowed, scratch.pool, count, k, bar)
            scratch.scores[:stop] = 0
        counts[2] += touched
    return count, bar


@inner_kernel
def blocks_of_range(r, shift, n_blocks):  # type: ignore[no-untyped-def]
    """The first block of range ``r`` of 2^shift blocks, and the one after its last."""
    return r << shift, min((r + 1) << shift, n_blocks)


@inner_kernel
def list_in_range(bounds, start, stop, least, upper, visits):  # type: ignore[no-untyped-def]
    """Write the blocks from ``start`` to ``stop`` with bound bits in [least, upper)."""
    n = 0
    for block in range(start, stop):
        if least <= bounds[block] < upper:
            visits[n] = block
            n += 1


@inner_kernel
def forget_visited(bounds, peaks, start, stop, size, upper, scores):  # type: ignore[no-untyped-def]
    """Zero the scores of a range's blocks of ``size`` with bound bits of ``upper`` or more: they are known."""
    for group in range(start // LANES, -(-stop // LANES)):
        if peaks[group] >= upper:
            for block in range(max(group * LANES, start), min((group + 1) * LANES, stop)):
                if bounds[block] >= upper:
                    scores[(block - start) * size : (block - start + 1) * size] = 0
