"""Scoring what is left of a range: block by block, some blocks together, or all of it, whichever costs least.

Ranges in which most of the best blocks lie come first, so that the bar has risen when the others are looked at.
"""

import numpy as np

from splade.kernels.bounds import LANES
from splade.kernels.compiled import inner_kernel
from splade.kernels.gather import gather
from splade.kernels.plan import LOOK, LOOK_TERM, PART, PICK, cost_of_part
from splade.kernels.spans import choose_widths, list_spans, list_stretches, plan_spans, score_spans
from splade.kernels.stream import score_range
from splade.kernels.topk import is_worth_raising, least_bits, raise_bar
from splade.kernels.visit import visit

ABOVE_ALL = 0xFFFFFFFF  # no bound has such bits


@inner_kernel
def score_parts(  # type: ignore[no-untyped-def]
    blocks, queries, begin, end, k, bar, allowed, scratch, count, level, upper, each, everything, counts
):  # fmt: skip
    """Score the blocks with bound bits below ``upper`` range by range, those with most from ``level`` on first.

    ``each`` is the cost of a visit, ``everything`` that of scoring all. Returns the count and the bar of the pool, and
    the cost.
    """
    bounds = scratch.bounds.view(np.uint32)
    for r in range(blocks.n_ranges):
        start, stop = blocks_of_range(blocks, r)
        n = count_in_range(bounds, start, stop, level, upper)
        scratch.keys[r] = (np.uint64(n) << np.uint64(32)) | np.uint64(blocks.n_ranges - 1 - r)
    scratch.keys[: blocks.n_ranges].sort()
    spent = 0.0
    for i in range(blocks.n_ranges - 1, -1, -1):
        r = blocks.n_ranges - 1 - np.int64(scratch.keys[i] & np.uint64(0xFFFFFFFF))
        start, stop = blocks_of_range(blocks, r)
        if count_in_range(bounds, start, stop, least_bits(bar), upper) > 0:  # a call counts references to all arrays
            count, bar, cost = score_part(
                blocks, queries, begin, end, r, k, bar, allowed, scratch, count, np.uint64(0), upper, each, everything,
                counts,
            )  # fmt: skip
            spent += cost
    return count, bar, spent


@inner_kernel
def score_part(  # type: ignore[no-untyped-def]
    blocks, queries, begin, end, r, k, bar, allowed, scratch, count, lower, upper, each, everything, counts
):  # fmt: skip
    """Score the blocks of range ``r`` with bound bits in [lower, upper) whose bound exceeds the bar.

    ``lower`` may be above 0 only where no block of the range has been scored; if all of it is then scored at once, its
    bounds are forgotten. Returns the count and the bar of the pool, and the cost.
    """
    bounds = scratch.bounds.view(np.uint32)
    start, stop = blocks_of_range(blocks, r)
    n = list_in_range(bounds, start, stop, max(np.uint64(least_bits(bar)), lower), upper, scratch.visits)
    if n == 0:
        return count, bar, 0.0
    whole = everything / blocks.n_ranges
    look, cost, n_spans = LOOK, whole, np.int64(0)
    if n * each >= min(PART, whole):
        list_stretches(scratch.visits[:n], start, scratch.spans)
        if 2 * n < stop - start:
            look += LOOK_TERM * (end - begin)
            choose_widths(scratch.spans)
            plan_spans(blocks, queries, begin, end, r, scratch.spans)
            n_spans, cost = list_spans(blocks, queries, begin, end, scratch.spans)
            cost = min(cost + PICK * scratch.spans.stretches[0], whole)
    if n * each < cost:
        count, bar, scored = visit(
            blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed, scratch.pool, count,
            scratch.pipeline, counts,
        )  # fmt: skip
        return count, bar, look + scored * each
    bits = scratch.scores.view(np.uint32)
    origin = r << blocks.range_bits
    in_use = min(scratch.scores.size, blocks.n_docs - origin)
    if cost < whole:
        counts[0] += n
        counts[2] += score_spans(blocks, queries, begin, r, n_spans, scratch.spans, scratch.scores)
    else:
        counts[1] += 1
        counts[2] += score_range(blocks, queries, begin, end, r, scratch.scores)
    if cost == whole and lower > 0:  # then nothing is left of the range
        count, bar = gather(bits, np.int64(0), in_use, origin, blocks.order, allowed, scratch.pool, count, k, bar)
        forget_range(blocks, bounds, scratch.peaks, r)
    else:
        for z in range(scratch.spans.stretches[0]):
            low = scratch.spans.starts[0, z] << blocks.block_bits
            high = min(scratch.spans.stops[0, z] << blocks.block_bits, in_use)
            count, bar = gather(bits, low, high, origin, blocks.order, allowed, scratch.pool, count, k, bar)
    scratch.scores[:in_use] = 0
    if is_worth_raising(count, k):
        count, bar = raise_bar(scratch.pool, count, k, bar)
    return count, bar, look + cost


@inner_kernel
def score_ranges(blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, counts):  # type: ignore[no-untyped-def]
    """Score whole ranges in their order, so that each run leads to the next, but those of which nothing is left.

    That is, no block with bound bits below ``upper`` whose bound exceeds the bar. Returns the count and the bar of the
    pool.
    """
    bounds = scratch.bounds.view(np.uint32)
    bits = scratch.scores.view(np.uint32)
    size = np.int64(1) << blocks.block_bits
    for r in range(blocks.n_ranges):
        start, stop = blocks_of_range(blocks, r)
        if count_in_range(bounds, start, stop, least_bits(bar), upper) == 0:
            continue
        counts[1] += 1
        counts[2] += score_range(blocks, queries, begin, end, r, scratch.scores)
        if count_in_range(bounds, start, stop, upper, np.uint64(ABOVE_ALL)) > 0:
            for block in range(start, stop):
                if bounds[block] >= upper:  # its documents are known
                    scratch.scores[(block - start) * size : (block - start + 1) * size] = 0
        origin = r << blocks.range_bits
        in_use = min(scratch.scores.size, blocks.n_docs - origin)
        count, bar = gather(bits, np.int64(0), in_use, origin, blocks.order, allowed, scratch.pool, count, k, bar)
        scratch.scores[:in_use] = 0
    return count, bar


@inner_kernel
def cost_of_parts(blocks, bounds, everything, each, least, upper):  # type: ignore[no-untyped-def]
    """Estimate the cost of scoring the blocks with bound bits in [least, upper) range by range."""
    cost = 0.0
    for r in range(blocks.n_ranges):
        start, stop = blocks_of_range(blocks, r)
        n = count_in_range(bounds, start, stop, least, upper)
        cost += min(n * each, cost_of_part(n, stop - start, everything / blocks.n_ranges))
    return cost


@inner_kernel
def best_range(blocks, bounds, peaks, least, upper):  # type: ignore[no-untyped-def]
    """The range with most blocks that have bound bits in [least, upper), and how many it has."""
    shift = blocks.range_bits - blocks.block_bits
    best = most = here = np.int64(0)
    last = np.int64(-1)
    for g in range(peaks.size):
        if peaks[g] >= least:
            for block in range(g * LANES, (g + 1) * LANES):
                if least <= bounds[block] < upper:
                    here = here + 1 if block >> shift == last else np.int64(1)
                    last = block >> shift
                    if here > most:
                        best, most = last, here
    return best, most


@inner_kernel
def forget_range(blocks, bounds, peaks, r):  # type: ignore[no-untyped-def]
    """Set the bounds of the blocks of range ``r``, all of which are done with, to 0."""
    start, stop = blocks_of_range(blocks, r)
    bounds[start:stop] = 0
    for g in range(start // LANES, -(-stop // LANES)):
        peaks[g] = bounds[g * LANES : (g + 1) * LANES].max()


@inner_kernel
def blocks_of_range(blocks, r):  # type: ignore[no-untyped-def]
    """The first block of range ``r``, and the one after its last."""
    shift = blocks.range_bits - blocks.block_bits
    return r << shift, min((r + 1) << shift, blocks.n_blocks)


@inner_kernel
def count_in_range(bounds, start, stop, least, upper):  # type: ignore[no-untyped-def]
    """Count the blocks from ``start`` to ``stop`` that have bound bits in [least, upper)."""
    low, high = np.uint32(least), np.uint32(upper - np.uint64(1))
    found = np.uint32(0)
    for i in range(start, stop):
        found += np.uint32((bounds[np.uint64(i)] >= low) & (bounds[np.uint64(i)] <= high))
    return np.int64(found)


@inner_kernel
def list_in_range(bounds, start, stop, least, upper, visits):  # type: ignore[no-untyped-def]
    """Write the blocks from ``start`` to ``stop`` with bound bits in [least, upper); returns how many."""
    n = np.int64(0)
    for block in range(start, stop):
        if least <= bounds[block] < upper:
            visits[n] = block
            n += 1
    return n
