"""Leaving out light postings, by document and by term."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.topk import nth_largest


@kernel
def keep_heaviest(rows, n, keep):  # type: ignore[no-untyped-def]
    """Set ``keep`` [entries] for the ``n`` heaviest entries of each row; of equal weights, the first columns."""
    for r in range(rows.offsets.size - 1):
        begin, end = rows.offsets[r], rows.offsets[r + 1]
        if end - begin <= n:
            keep[begin:end] = True
        else:
            mark_heaviest(rows.weights[begin:end], n, keep[begin:end])


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
