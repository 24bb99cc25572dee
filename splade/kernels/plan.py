"""Estimate what answering a query would cost, so that the cheaper way is taken.

Costs are in nanoseconds on the machine that the defaults were measured on. Only their ratios matter,
and they decide nothing but the way: results are the same.
"""

import numpy as np

from splade.kernels.compiled import kernel

VISIT, VISIT_TERM = 250.0, 70.0  # a block; each query term in it
RANGE, RANGE_TERM, POSTING = 3300.0, 150.0, 0.75  # scoring a range: zeroing and comparing; each run; each posting
DENSE = 0.2  # each weight of a dense row
LEVEL, ENTRY = 0.1, 1.2  # a bound from a row of the head, and one from the tail
WASTE = 0.15  # of the cost of scoring all, what may be spent on bounds and visits before a plan must pay
FEWEST = 3  # blocks to visit before anything can be told
RESTS, TRIED, SAVED = 0, 1, 2  # of a memory: queries that still do without bounds, how many did, and what bounds saved
KEPT = 3  # numbers of a memory
LONGEST_REST = 64
HOPELESS = 8.0  # times the cost of scoring all, of visiting what survives the first visits: then all are scored at once


@kernel
def cost_of_ranges(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """To score all documents."""
    cost = RANGE * blocks.n_ranges
    for i in range(begin, end):
        term = queries.columns[i]
        if blocks.dense_rows[term] >= 0:
            cost += DENSE * blocks.n_docs
        else:
            cost += RANGE_TERM * blocks.n_ranges + POSTING * (blocks.offsets[term + 1] - blocks.offsets[term])
    return cost


@kernel
def cost_of_visit(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """To score one block on its own."""
    cost = VISIT
    for i in range(begin, end):
        term = queries.columns[i]
        if blocks.dense_rows[term] >= 0:
            cost += DENSE * (1 << blocks.block_bits)
        else:
            postings = blocks.offsets[term + 1] - blocks.offsets[term]
            cost += VISIT_TERM + POSTING * postings / max(blocks.n_blocks, 1)
    return cost


@kernel
def cost_of_bounds(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """To bound all blocks."""
    cost = LEVEL * blocks.head.shape[1] * 6  # clearing, and looking through the sums
    for i in range(begin, end):
        term = queries.columns[i]
        if blocks.head_rows[term] >= 0:
            cost += LEVEL * blocks.head.shape[1]
        else:
            cost += ENTRY * (blocks.tail_offsets[term + 1] - blocks.tail_offsets[term])
    return cost


@kernel
def worth_bounds(blocks, queries, begin, end, memory):  # type: ignore[no-untyped-def]
    """True where bounds and visits to the best few blocks cost little beside scoring all, and have paid of late.

    ``memory`` [KEPT] is what `remember` keeps for queries of about this length. Where bounds cost more than they saved
    over the last queries together, the next ones do without them: 1, then 3, 7 and at last 64, before they are tried.
    """
    if memory[RESTS] > 0:
        memory[RESTS] -= 1
        return False
    trial = cost_of_bounds(blocks, queries, begin, end) + FEWEST * cost_of_visit(blocks, queries, begin, end)
    return trial < WASTE * cost_of_ranges(blocks, queries, begin, end)


@kernel
def remember(blocks, queries, begin, end, counts, memory):  # type: ignore[no-untyped-def]
    """Keep what a query with these ``counts`` (blocks visited, ranges scored) saved beside scoring all, if anything.

    In thousandths of that, an eighth of which is forgotten with each query: few large gains make up for small losses.
    """
    everything = cost_of_ranges(blocks, queries, begin, end)
    cost = cost_of_bounds(blocks, queries, begin, end) + counts[0] * cost_of_visit(blocks, queries, begin, end)
    cost += everything * counts[1] / max(blocks.n_ranges, 1)
    saved = max((everything - cost) / max(everything, 1.0), -1.0)
    memory[SAVED] += np.int64(1000.0 * saved) - memory[SAVED] // 8
    if cost < everything:
        memory[TRIED] //= 2
    elif memory[SAVED] < 0:
        memory[TRIED] = min(2 * memory[TRIED] + 1, LONGEST_REST)
        memory[RESTS] = memory[TRIED]
