"""Scoring single blocks anywhere in the index: a pipeline that keeps several cache misses in flight.

A visited block costs its cache misses, so each is asked for well before it is used. While one block is
scored, the postings of the next are on their way, and the skip tables of the one after.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import SHORT, slot_bits
from splade.kernels.compiled import kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import as_weight, prefetch
from splade.kernels.topk import least_bits, raise_bar

DEPTH = 4  # blocks in the pipeline; a power of two
LINE = 64  # bytes of a cache line
NO_TABLE = np.uint64(0xFFFFFFFFFFFFFFFF)


class Pipeline(NamedTuple):
    """Where the postings of the blocks under way are, by slot of the pipeline and query term."""

    begins: NDArray[np.uint64]  # [DEPTH, longest query]
    ends: NDArray[np.uint64]
    tables: NDArray[np.uint64]  # the entry of the skip table, or NO_TABLE
    exact: NDArray[np.uint8]  # 1 where begins and ends enclose nothing but the block


@kernel
def visit(blocks, queries, begin, end, visits, bounds, k, bar, allowed, scores, pool, count, pipeline):  # type: ignore[no-untyped-def]
    """Score the blocks ``visits`` one by one, but those whose bound the bar has passed.

    Returns the count and the bar of the pool, the number of blocks scored, and postings touched.
    ``bounds`` are the bits of the blocks' bounds; ``scores`` zeros, at least one block of them.
    """
    bits = scores.view(np.uint32)
    size = np.int64(1) << blocks.block_bits
    scored = touched = 0
    for z in range(-2, visits.size):
        least = least_bits(bar)
        if z + 2 < visits.size and bounds[visits[z + 2]] >= least:
            look_up(blocks, queries, begin, end, visits[z + 2], pipeline, (z + 2) & (DEPTH - 1))
        if 0 <= z + 1 < visits.size and bounds[visits[z + 1]] >= least:
            locate(blocks, end - begin, visits[z + 1], pipeline, (z + 1) & (DEPTH - 1))
        if z < 0 or bounds[visits[z]] < least:
            continue
        touched += add_block(blocks, queries, begin, end, visits[z], pipeline, z & (DEPTH - 1), scores)
        scored += 1
        origin = visits[z] << blocks.block_bits
        before = count
        count, bar = gather(
            bits, 0, min(size, blocks.n_docs - origin), origin, blocks.order, allowed, pool, count, k, bar
        )
        if count > k and (k <= 256 or 4 * count > 5 * k) and count != before:
            count, bar = raise_bar(pool, count, k, bar)
        scores[:size] = 0
    return count, bar, scored, touched


@kernel
def look_up(blocks, queries, begin, end, block, pipeline, slot):  # type: ignore[no-untyped-def]
    """Find each term's run, and ask for its skip table or, where it is short, for its positions."""
    bits = blocks.range_bits - blocks.block_bits
    r, inside = block >> bits, block & ((np.int64(1) << bits) - 1)
    width = blocks.n_ranges + 1
    for i in range(begin, end):
        term = np.int64(queries.columns[i])
        entry = np.uint64(2 * (term * width + r))
        origin = np.uint64(blocks.offsets[term])
        first = np.uint64(blocks.runs[entry])
        last = np.uint64(blocks.runs[entry + np.uint64(2)])
        pipeline.begins[slot, i - begin] = origin + first
        pipeline.ends[slot, i - begin] = origin + last
        length = np.int64(last - first)
        if length > SHORT:
            shift = np.uint64(bits - slot_bits(length, bits))
            place = np.uint64(blocks.runs[entry + np.uint64(1)]) + (np.uint64(inside) >> shift)
            pipeline.tables[slot, i - begin] = place
            pipeline.exact[slot, i - begin] = shift == 0
            prefetch(blocks.skips, place)
        else:
            pipeline.tables[slot, i - begin] = NO_TABLE
            pipeline.exact[slot, i - begin] = length == 0
            if length > 0:
                prefetch(blocks.local, origin + first)
                prefetch(blocks.local, origin + last - np.uint64(1))


@kernel
def locate(blocks, n_terms, block, pipeline, slot):  # type: ignore[no-untyped-def]
    """Narrow each run down to the block, as far as skip tables tell, and ask for its postings."""
    for i in range(n_terms):
        table = pipeline.tables[slot, i]
        first, last = pipeline.begins[slot, i], pipeline.ends[slot, i]
        if table != NO_TABLE:
            last = first + np.uint64(blocks.skips[table + np.uint64(1)])
            first = first + np.uint64(blocks.skips[table])
            pipeline.begins[slot, i], pipeline.ends[slot, i] = first, last
            if first < last:
                prefetch(blocks.local, first)
                prefetch(blocks.local, last - np.uint64(1))
                p = first
                step = np.uint64(LINE // blocks.impacts.itemsize)
                while p < last:
                    prefetch(blocks.impacts, p)
                    p += step
                prefetch(blocks.impacts, last - np.uint64(1))
        elif first < last:
            first, last = narrow(blocks, first, last, block)
            pipeline.begins[slot, i], pipeline.ends[slot, i] = first, last
            pipeline.exact[slot, i] = 1
            if first < last:
                prefetch(blocks.impacts, first)
                prefetch(blocks.impacts, last - np.uint64(1))


@kernel
def narrow(blocks, first, last, block):  # type: ignore[no-untyped-def]
    """The part of postings [first, last) of a run that belongs to the block, by counting."""
    low = np.uint16((block << blocks.block_bits) & ((np.int64(1) << blocks.range_bits) - 1))
    high = np.uint16(low + ((np.int64(1) << blocks.block_bits) - 1))
    below = within = np.uint16(0)
    for p in range(first, last):
        below += np.uint16(blocks.local[p] < low)
        within += np.uint16(blocks.local[p] <= high)
    return first + np.uint64(below), first + np.uint64(within)


@kernel
def add_block(blocks, queries, begin, end, block, pipeline, slot, scores):  # type: ignore[no-untyped-def]
    """Add the scores of the block's documents, in the order of `score_range`; returns the postings touched."""
    mask = np.uint64((np.int64(1) << blocks.block_bits) - 1)
    touched = 0
    for i in range(end - begin):
        first, last = pipeline.begins[slot, i], pipeline.ends[slot, i]
        if pipeline.exact[slot, i] == 0 and first < last:
            first, last = narrow(blocks, first, last, block)
        weight = queries.weights[begin + i]
        touched += np.int64(last - first)
        for p in range(first, last):
            scores[np.uint64(blocks.local[p]) & mask] += weight * (as_weight(blocks.impacts[p]) * blocks.scale)
    return touched
