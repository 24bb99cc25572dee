"""The rank of each entry of a row by weight, the share of weight before it, and rows without their lightest entries."""

import numpy as np

from splade.kernels.compiled import kernel


@kernel
def rank_entries(rows, ranks, before):  # type: ignore[no-untyped-def]
    """Write each entry's rank in its row, 0 the heaviest, and the share of the row's weight that is heavier.

    ``ranks`` is int32 and ``before`` float32, [entries]. Of equal entries, first columns come first.
    """
    bits, low = rows.weights.view(np.uint32), np.uint64(0xFFFFFFFF)  # of positive weights, which sort as these do
    for r in range(rows.offsets.size - 1):
        begin, end = rows.offsets[r], rows.offsets[r + 1]
        keys = np.empty(end - begin, np.uint64)
        total = 0.0
        for p in range(begin, end):
            keys[p - begin] = ((low - np.uint64(bits[p])) << np.uint64(32)) | np.uint64(p - begin)
            total += rows.weights[p]
        keys.sort()
        reached = 0.0
        for rank in range(keys.size):
            p = begin + np.int64(keys[rank] & low)
            ranks[p] = rank
            before[p] = reached / total
            reached += rows.weights[p]


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
