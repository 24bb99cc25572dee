"""What each entry of a row stands for among its row's: its rank by weight, and the weight that comes before it."""

import numpy as np

from splade.kernels.compiled import kernel


@kernel
def rank_entries(rows, ranks, before):  # type: ignore[no-untyped-def]
    """Write each entry's rank in its row, 0 the heaviest, and the share of the row's weight that is heavier.

    ``ranks`` is int32 and ``before`` float32, [entries]. Of equal entries, first columns come first.
    """
    for r in range(rows.offsets.size - 1):
        begin, end = rows.offsets[r], rows.offsets[r + 1]
        order = np.argsort(-rows.weights[begin:end], kind="mergesort")
        total = 0.0
        for i in order:
            total += rows.weights[begin + i]
        reached = 0.0
        for rank in range(order.size):
            ranks[begin + order[rank]] = rank
            before[begin + order[rank]] = reached / total
            reached += rows.weights[begin + order[rank]]


@kernel
def keep_above(rows, bars, keep):  # type: ignore[no-untyped-def]
    """Set ``keep`` [entries] for those that reach the bar of their row; returns how many do."""
    kept = 0
    for r in range(rows.offsets.size - 1):
        for p in range(rows.offsets[r], rows.offsets[r + 1]):
            keep[p] = rows.weights[p] >= bars[r]
            kept += keep[p]
    return kept


@kernel
def keep_above_of_columns(rows, bars, keep):  # type: ignore[no-untyped-def]
    """`keep_above` with a bar for each column."""
    kept = 0
    for p in range(rows.columns.size):
        keep[p] = rows.weights[p] >= bars[rows.columns[p]]
        kept += keep[p]
    return kept


@kernel
def lightest_kept(rows, keep, bars):  # type: ignore[no-untyped-def]
    """Write the smallest weight for which ``keep`` [entries] holds of each row; infinite where there is none."""
    for r in range(rows.offsets.size - 1):
        bar = np.float32(np.inf)
        for p in range(rows.offsets[r], rows.offsets[r + 1]):
            if keep[p]:
                bar = min(bar, rows.weights[p])
        bars[r] = bar


@kernel
def score_side_by_side(rows, places, table, scores):  # type: ignore[no-untyped-def]
    """Write ``scores`` [rows, Q] of Q queries: ``table`` [.., Q] has a row of their weights of each term they have.

    ``places`` [V] is a term's row, 0 for those that no query has; row 0 is empty.
    """
    for r in range(rows.offsets.size - 1):
        scores[r] = 0
        for p in range(rows.offsets[r], rows.offsets[r + 1]):
            place = places[rows.columns[p]]
            if place:
                weight = rows.weights[p]
                for q in range(scores.shape[1]):
                    scores[r, q] += weight * table[place, q]
