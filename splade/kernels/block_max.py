"""Exact search that leaves out blocks whose bound says that nothing in them can be among the k best.

The bar is the score of the k-th best so far; a block whose bound it has passed is left out (Mallia, Suel and
Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", 2024). How much that leaves out depends on how
early the bar is high, so the blocks with the highest bounds, the *leaders*, come first. Where the order of documents
brings like ones together, many leaders lie in one range, which is then scored at once: first they, and then what of it
the bar has not passed. Elsewhere some leaders are visited one by one. From then on the cheaper way is asked for again
and again: either the next blocks in descending order of bound are visited, twice as many each time, or all that is
left is scored range by range (`splade.kernels.parts`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import Blocks
from splade.kernels.bounds import LANES, collect, count_between, find_level, find_peaks, sum_bounds, weigh_levels
from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import bit_length, prefetch
from splade.kernels.parts import best_range, cost_of_parts, forget_range, score_part, score_parts, score_ranges
from splade.kernels.plan import (
    CHEAP,
    CROWDED,
    ENOUGH,
    FAR,
    FEWEST,
    HOPELESS,
    LEADERS,
    PART,
    WASTE,
    cost_of_bounds,
    cost_of_ranges,
    cost_of_visit,
    remember,
    worth_bounds,
)
from splade.kernels.spans import Spans, new_spans
from splade.kernels.stream import stream_all
from splade.kernels.topk import least_bits, raise_bar
from splade.kernels.visit import GROUP, Pipeline, new_pipeline, visit

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
    spans: Spans


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
        spans=new_spans(blocks, longest),
    )


@kernel
def search_all(blocks, queries, first, last, k, floor, allowed, plan, shares, memory, scratch, keys, counts):  # type: ignore[no-untyped-def]
    """Write the keys of the best documents of queries ``first`` to ``last``.

    ``plan`` is STREAM to score all documents, BOUND to look at bounds in any case, CHOOSE for the cheaper.
    ``keys`` is uint64 [last - first, k], zeroed; ``counts`` int64 [last - first, 3], zeroed, receives
    blocks scored without all of their range, ranges scored as a whole, and postings touched. ``shares`` multiply
    bounds, by the bit length of the number of query terms: 1 is exact, less leaves out blocks that could but seldom do
    matter. ``memory`` is int64 [bit lengths, KEPT], zeros at first: `splade.kernels.plan` keeps in it whether bounds
    have paid.
    """
    bar = (np.uint64(floor) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    for q in range(first, last):
        begin, end = queries.offsets[q], queries.offsets[q + 1]
        length = np.int64(bit_length(np.uint32(end - begin)))
        bounded = plan == BOUND or (plan == CHOOSE and worth_bounds(blocks, queries, begin, end, memory[length]))
        if bounded and weigh_levels(blocks, queries, begin, end, shares[length], scratch.units):
            n, cost = search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts[q - first])
            remember(cost, cost_of_ranges(blocks, queries, begin, end), memory[length])
        else:
            n, touched = stream_all(blocks, queries, begin, end, k, bar, allowed, scratch.scores, scratch.pool)
            counts[q - first, 1] = blocks.n_ranges
            counts[q - first, 2] = touched
        for i in range(n):
            keys[q - first, i] = scratch.pool[i]


@inner_kernel
def search_one(blocks, queries, begin, end, k, bar, allowed, scratch, counts):  # type: ignore[no-untyped-def]
    """The keys of the k best documents at the front of the pool; returns how many, and the cost. Units are weighed."""
    fetch_runs(blocks, queries, begin, end)
    sum_bounds(blocks, queries, begin, end, scratch.units, scratch.rows, scratch.values, scratch.bounds)
    bounds, peaks = scratch.bounds.view(np.uint32), scratch.peaks
    upper = np.uint64(find_peaks(bounds, peaks)) + np.uint64(1)  # blocks with lower bits have not been scored
    everything, each = cost_of_ranges(blocks, queries, begin, end), cost_of_visit(blocks, queries, begin, end)
    spent = cost_of_bounds(blocks, queries, begin, end)
    count = np.int64(0)
    if np.uint64(least_bits(bar)) >= upper:
        return count, spent
    batch = max(np.int64(LEADERS * np.sqrt(k)) >> blocks.block_bits, 2)
    lowest, n = find_level(bounds, peaks, least_bits(bar), upper, batch)
    level = np.uint64(lowest)  # of the leaders
    best, most = best_range(blocks, bounds, peaks, level, upper)
    if most * CROWDED >= n and most * each > 2 * PART:
        first = most << blocks.block_bits >= ENOUGH * k  # the leaders tell the bar without the others
        lower, beyond = level if first else np.uint64(0), upper
        for _ in range(2 if first else 1):
            count, bar, cost = score_part(
                blocks, queries, begin, end, best, k, bar, allowed, scratch, count, lower, beyond, each, everything,
                counts,
            )  # fmt: skip
            spent += cost
            lower, beyond = np.uint64(0), level
        forget_range(blocks, bounds, peaks, best)
        batch, tries = np.int64(GROUP), 2
    else:
        room = np.int64((WASTE * everything - spent) / each)
        batch, tries = max(min(batch, room) // 4, FEWEST), 0
    while np.uint64(least_bits(bar)) < upper:
        least = least_bits(bar)
        left = count_between(bounds, peaks, least, upper)
        if left == 0:
            break
        hopeless = tries == 1 and left * each > FAR * everything
        if hopeless or (tries >= 2 and left * each > CHEAP * everything):
            parts = cost_of_parts(blocks, bounds, everything, each, least, upper)
            if hopeless or parts > HOPELESS * everything:
                count, bar = score_ranges(
                    blocks, queries, begin, end, k, bar, allowed, scratch, count, upper, counts
                )  # fmt: skip
                spent += everything
                break
            if parts < left * each:
                count, bar, cost = score_parts(
                    blocks, queries, begin, end, k, bar, allowed, scratch, count, level, upper, each, everything, counts
                )
                spent += cost
                break
        lowest, n = find_level(bounds, peaks, least, upper, min(batch, left))
        if tries == 0 and n > 8 * batch:  # too many are alike
            tries = 2
            continue
        collect(bounds, peaks, lowest, upper, scratch.visits, scratch.keys)
        count, bar, scored = visit(
            blocks, queries, begin, end, scratch.visits[:n], bounds, k, bar, allowed, scratch.pool, count,
            scratch.pipeline, counts,
        )  # fmt: skip
        spent += scored * each
        upper = np.uint64(lowest)
        batch *= 3 if tries == 0 else 2
        tries += 1
    count, bar = raise_bar(scratch.pool, count, k, bar)
    return count, spent


@inner_kernel
def fetch_runs(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """Ask for the directory of the query's terms, which every visit reads."""
    width = 2 * (blocks.n_ranges + 1)
    for i in range(begin, end):
        prefetch(blocks.head_rows, np.int64(queries.columns[i]))
        for entry in range(queries.columns[i] * width, (queries.columns[i] + 1) * width, 16):
            prefetch(blocks.runs, entry)
