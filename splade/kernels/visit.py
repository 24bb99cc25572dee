"""Scoring single blocks anywhere in the index, a group of them at a time.

Cache misses make up the cost of a visit, so each line is fetched well before it is used: first the places of all
terms' postings in all blocks of the group are looked up, then narrowed down, then the postings are added. In
each of these passes the terms are the outer loop: a term's values stay in registers, and the rest of a pass lies
between fetching a cache line and using it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import SHORT, Blocks, slot_bits
from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import WIDE, as_weight, below, count_ones, prefetch
from splade.kernels.stream import add_row
from splade.kernels.topk import is_worth_raising, least_bits, raise_bar

GROUP = 16  # blocks under way at a time
LINE = 64  # bytes of a cache line
NO_TABLE = np.uint64(0xFFFFFFFFFFFFFFFF)


class Pipeline(NamedTuple):
    """The blocks under way, and where their postings are, by query term and place in the group."""

    live: NDArray[np.int64]  # [GROUP] blocks
    begins: NDArray[np.uint64]  # [longest query, GROUP]
    ends: NDArray[np.uint64]
    tables: NDArray[np.uint64]  # the entry of the skip table, or NO_TABLE
    exact: NDArray[np.uint8]  # 1 where begins and ends enclose nothing but the block
    scores: NDArray[np.float32]  # [GROUP, block] zeros


def new_pipeline(blocks: Blocks, longest: int) -> Pipeline:
    """Room for queries of up to ``longest`` terms."""
    shape = (longest, GROUP)
    return Pipeline(
        live=np.zeros(GROUP, np.int64),
        begins=np.zeros(shape, np.uint64),
        ends=np.zeros(shape, np.uint64),
        tables=np.zeros(shape, np.uint64),
        exact=np.zeros(shape, np.uint8),
        scores=np.zeros((GROUP, 1 << int(blocks.block_bits)), np.float32),
    )


@inner_kernel
def visit(blocks, queries, begin, end, visits, bounds, k, bar, allowed, pool, count, pipeline, counts):  # type: ignore[no-untyped-def]
    """Score the blocks ``visits`` one by one, without those whose bound the bar has passed.

    Returns the count and the bar of the pool, and the number of blocks scored, which is added to ``counts`` [3] as the
    postings touched are (`search_all`). ``bounds`` are the bits of the blocks' bounds.
    """
    size = np.int64(1) << blocks.block_bits
    scored = 0
    for first in range(0, visits.size, GROUP):
        n = np.int64(0)
        least = least_bits(bar)
        for z in range(first, min(first + GROUP, visits.size)):
            if bounds[visits[z]] >= least:
                pipeline.live[n] = visits[z]
                n += 1
        if n == 0:
            continue
        look_up(blocks, queries, begin, end, n, pipeline)
        locate(blocks, end - begin, n, pipeline)
        counts[2] += add_blocks(blocks, queries, begin, end, n, pipeline)
        scored += n
        for z in range(n):
            bits = pipeline.scores[z].view(np.uint32)
            origin = pipeline.live[z] << blocks.block_bits
            before = count
            stop = min(size, blocks.n_docs - origin)
            count, bar = gather(bits, np.int64(0), stop, origin, blocks.order, allowed, pool, count, k, bar)
            if count > k and is_worth_raising(count, k) and count != before:
                count, bar = raise_bar(pool, count, k, bar)
            pipeline.scores[z] = 0
    counts[0] += scored
    return count, bar, scored


@inner_kernel
def look_up(blocks, queries, begin, end, n, pipeline):  # type: ignore[no-untyped-def]
    """Find each term's run in each block's range; ask for its skip table or, where it is short, for its positions."""
    bits = blocks.range_bits - blocks.block_bits
    inner = (np.int64(1) << bits) - 1
    width = blocks.n_ranges + 1
    for i in range(end - begin):
        term = np.int64(queries.columns[begin + i])
        if blocks.dense_rows[term] >= 0:
            fetch_rows(blocks, blocks.dense_rows[term], i, n, pipeline)
            continue
        origin = np.uint64(blocks.offsets[term])
        row = np.uint64(2 * term * width)
        for z in range(n):
            block = pipeline.live[z]
            entry = row + np.uint64(2 * (block >> bits))
            first = np.uint64(blocks.runs[entry])
            last = np.uint64(blocks.runs[entry + np.uint64(2)])
            pipeline.begins[i, z] = origin + first
            pipeline.ends[i, z] = origin + last
            length = np.int64(last - first)
            if length > SHORT:
                shift = np.uint64(bits - slot_bits(length, bits))
                place = np.uint64(blocks.runs[entry + np.uint64(1)]) + (np.uint64(block & inner) >> shift)
                pipeline.tables[i, z] = place
                pipeline.exact[i, z] = shift == 0
                prefetch(blocks.skips, place)
            else:
                pipeline.tables[i, z] = NO_TABLE
                pipeline.exact[i, z] = length == 0
                prefetch(blocks.local, origin + first)
                prefetch(blocks.local, origin + last)


@inner_kernel
def fetch_rows(blocks, row, i, n, pipeline):  # type: ignore[no-untyped-def]
    """Ask for the weights of a dense row in each block; no postings are left to look for."""
    for z in range(n):
        pipeline.tables[i, z] = NO_TABLE
        pipeline.begins[i, z] = pipeline.ends[i, z] = 0
        pipeline.exact[i, z] = 1
        origin = np.int64(row) * blocks.n_docs + (pipeline.live[z] << blocks.block_bits)
        for place in range(origin, origin + (np.int64(1) << blocks.block_bits), LINE // blocks.dense.itemsize):
            prefetch(blocks.dense, place)


@inner_kernel
def locate(blocks, n_terms, n, pipeline):  # type: ignore[no-untyped-def]
    """Narrow each run down to the block, as far as skip tables tell, and ask for its postings."""
    half = np.uint64(LINE // blocks.impacts.itemsize)
    for i in range(n_terms):
        for z in range(n):
            table = pipeline.tables[i, z]
            first, last = pipeline.begins[i, z], pipeline.ends[i, z]
            if table != NO_TABLE:
                last = first + np.uint64(blocks.skips[table + np.uint64(1)])
                first = first + np.uint64(blocks.skips[table])
                prefetch(blocks.local, first)
                prefetch(blocks.local, last)
                prefetch(blocks.impacts, first + half)
            else:
                first, last = narrow(blocks, first, last, pipeline.live[z])
                pipeline.exact[i, z] = 1
            prefetch(blocks.impacts, first)
            prefetch(blocks.impacts, last)
            pipeline.begins[i, z], pipeline.ends[i, z] = first, last


@kernel
def narrow(blocks, first, last, block):  # type: ignore[no-untyped-def]
    """The part of postings [first, last) of a run that belongs to the block, by counting."""
    low = np.uint16((block << blocks.block_bits) & ((np.int64(1) << blocks.range_bits) - 1))
    beyond = np.uint16(low + (np.int64(1) << blocks.block_bits))  # at most 2^15, since a range is
    before = upto = np.uint64(0)
    p = first
    while p < last and p + np.uint64(WIDE) <= np.uint64(blocks.local.size):
        left = min(last - p, np.uint64(WIDE))
        inside = (np.uint64(1) << left) - np.uint64(1)
        before += np.uint64(count_ones(below(blocks.local, p, low) & inside))
        upto += np.uint64(count_ones(below(blocks.local, p, beyond) & inside))
        p += np.uint64(WIDE)
    while p < last:  # the last postings of all, beyond which nothing may be read
        before += np.uint64(blocks.local[p] < low)
        upto += np.uint64(blocks.local[p] < beyond)
        p += np.uint64(1)
    return first + before, first + upto


@inner_kernel
def add_blocks(blocks, queries, begin, end, n, pipeline):  # type: ignore[no-untyped-def]
    """Add the scores of the blocks' documents, in the order of `score_range`; returns the postings touched."""
    mask = np.uint64((np.int64(1) << blocks.block_bits) - 1)
    touched = 0
    for i in range(end - begin):
        weight = queries.weights[begin + i]
        dense = blocks.dense_rows[queries.columns[begin + i]]
        if dense >= 0:
            for z in range(n):
                touched += add_row(blocks, dense, pipeline.live[z] << blocks.block_bits, weight, pipeline.scores[z])
            continue
        for z in range(n):
            first, last = pipeline.begins[i, z], pipeline.ends[i, z]
            if pipeline.exact[i, z] == 0:
                first, last = narrow(blocks, first, last, pipeline.live[z])
            touched += np.int64(last - first)
            scores = pipeline.scores[z]
            for p in range(first, last):
                scores[np.uint64(blocks.local[p]) & mask] += weight * as_weight(blocks.impacts[p], blocks.scale)
    return touched
