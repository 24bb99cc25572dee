"""Leaving out light postings, by document and by term."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.topk import nth_largest


@kernel
def keep_heaviest(rows, most, share, keep):  # type: ignore[no-untyped-def]
    """Set ``keep`` [entries] for the heaviest entries of each row; of equal weights, the first columns.

    Of a row, ``most`` entries at most are kept, and no more than reach ``share`` of its weight (1: all). Returns the
    number of entries that ``most`` leaves out, and of those that ``share`` leaves out beside.
    """
    by_number = by_share = 0
    for r in range(rows.offsets.size - 1):
        begin, end = rows.offsets[r], rows.offsets[r + 1]
        size = end - begin
        n = min(size, most)
        by_number += size - n
        if share < 1.0 and n > 1:
            reached = min(n, n_reaching(rows.weights[begin:end], share))
            by_share += n - reached
            n = reached
        if n == size:
            keep[begin:end] = True
        else:
            mark_heaviest(rows.weights[begin:end], n, keep[begin:end])
    return by_number, by_share


@inner_kernel
def n_reaching(weights, share):  # type: ignore[no-untyped-def]
    """The smallest number of heaviest ``weights``, one at least, whose sum is at least ``share`` of the sum of all."""
    ordered = np.sort(weights)
    total = 0.0  # in float64, heaviest first, as the partial sums below: the last of them is the total
    for i in range(ordered.size - 1, -1, -1):
        total += ordered[i]
    bar, reached, n = share * total, 0.0, 0
    while n < ordered.size and (n == 0 or reached < bar):
        n += 1
        reached += ordered[ordered.size - n]
    return n


@inner_kernel
def mark_heaviest(weights, n, keep):  # type: ignore[no-untyped-def]
    """Set ``keep`` for the ``n`` largest of ``weights``, 0 < n < size; of equal ones, the first."""
    bar = nth_largest(weights, n)
    above = 0
    for i in range(weights.size):
        above += weights[i] > bar
    left = n - above
    for i in range(weights.size):
        if weights[i] > bar:
            keep[i] = True
        elif weights[i] == bar and left > 0:
            keep[i] = True
            left -= 1


@kernel
def keep_of_terms(postings, least, quantile, keep):  # type: ignore[no-untyped-def]
    """Set ``keep`` [postings] for those of at least the weight ``least``, but the lightest share of each term.

    Of a term's n postings that are left, floor(quantile * n) go. A term's heaviest posting always stays.
    Returns how many the first and the second rule leave out.
    """
    light = tail = 0
    for term in range(postings.offsets.size - 1):
        begin, end = postings.offsets[term], postings.offsets[term + 1]
        if begin == end:
            continue
        weights, kept = postings.weights[begin:end], keep[begin:end]
        heavy = 0
        for i in range(weights.size):
            heavy += weights[i] >= least
        heavy = max(heavy, 1)
        light += weights.size - heavy
        n = heavy - np.int64(quantile * heavy)
        tail += heavy - n
        if n == weights.size:
            kept[:] = True
        else:
            mark_heaviest(weights, n, kept)
    return light, tail
