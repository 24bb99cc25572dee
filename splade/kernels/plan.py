"""Estimate what answering a query would cost, so that the cheaper way is taken.

Costs are in nanoseconds on the machine that the defaults were measured on. Only their ratios matter,
and they decide nothing but the way: results are the same.
"""

import numpy as np

from splade.kernels.compiled import kernel

VISIT, VISIT_TERM = 250.0, 55.0  # a block; each query term in it
DOC, RUN, POSTING = 0.1, 85.0, 0.39  # scoring a range: zeroing and comparing each score; each run; each posting
DENSE = 0.24  # each weight of a dense row
LOOK, LOOK_TERM = 1000.0, 70.0  # looking for what is left of a range; and in the runs of each query term
PART, SPAN, SPANNED = 3000.0, 33.0, 0.49  # scoring some blocks of a range; each span; each posting in one
PICK = 40.0  # comparing the scores of each stretch of a range, where not all are compared at once
SHARE, SPREAD = 0.15, 1.25  # of a range's cost, about: some blocks of it, and the root of their share times this
TERM, LEVEL, ENTRY = 550.0, 0.1, 1.2  # bounds: each query term; a bound from a row of the head, and one from the tail
LEADERS = 400  # documents times the root of k, in blocks with the highest bounds: these nearly tell the last bar
CROWDED = 4  # leaders of which one range holds one of so many tell it by that range
ENOUGH = 4  # times k documents that hold the k best of a range, of those with the highest bounds
TRIAL = 0.3  # of the cost of scoring all, what bounds and the fewest visits may cost for bounds to be tried
WASTE = 0.2  # of that cost, what may be spent on bounds and first visits
CHEAP = 0.15  # of that cost, what visits may cost without a look at ranges
FAR = 8.0  # times that cost, what visiting all that the first visits leave costs where the bar is out of reach
HOPELESS = 0.97  # of that cost, what scoring range by range costs before ranges are left in their order
DOUBT = 0.92  # of that cost, what a query with bounds must stay below: a busy memory slows jumps more than runs
FEWEST = 3  # blocks to visit before anything can be told
RESTS, TRIED, SAVED = 0, 1, 2  # of a memory: queries that still do without bounds, how many did, and what bounds saved
KEPT = 3  # numbers of a memory
LONGEST_REST = 64


@kernel
def cost_of_ranges(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """To score all documents."""
    cost = DOC * blocks.n_docs
    for i in range(begin, end):
        term = queries.columns[i]
        if blocks.dense_rows[term] >= 0:
            cost += DENSE * blocks.n_docs
        else:
            cost += RUN * blocks.n_ranges + POSTING * (blocks.offsets[term + 1] - blocks.offsets[term])
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
def cost_of_part(n, n_blocks, per_range):  # type: ignore[no-untyped-def]
    """To score ``n`` of the ``n_blocks`` of a range, of which all cost ``per_range``, about."""
    return per_range * min(SHARE + SPREAD * np.sqrt(n / n_blocks), 1.0) if n > 0 else 0.0


@kernel
def cost_of_bounds(blocks, queries, begin, end):  # type: ignore[no-untyped-def]
    """To bound all blocks."""
    cost = LEVEL * blocks.head.shape[1] * 6  # clearing, and looking through the sums
    for i in range(begin, end):
        term = queries.columns[i]
        cost += TERM
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
    return trial < TRIAL * cost_of_ranges(blocks, queries, begin, end)


@kernel
def remember(cost, everything, memory):  # type: ignore[no-untyped-def]
    """Keep what a query that took ``cost`` saved beside DOUBT times that of scoring all, ``everything``, if anything.

    In thousandths of it, an eighth of which is forgotten with each query: few large gains make up for small losses.
    """
    everything *= DOUBT
    saved = max((everything - cost) / max(everything, 1.0), -1.0)
    memory[SAVED] += np.int64(1000.0 * saved) - memory[SAVED] // 8
    if cost < everything:
        memory[TRIED] //= 2
    elif memory[SAVED] < 0:
        memory[TRIED] = min(2 * memory[TRIED] + 1, LONGEST_REST)
        memory[RESTS] = memory[TRIED]
