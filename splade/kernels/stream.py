"""Scoring every document of a range: fast per posting, for any query."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import as_weight, prefetch
from splade.kernels.topk import raise_bar

LINE = 64  # bytes of a cache line


@kernel
def score_range(blocks, queries, begin, end, r, scores):  # type: ignore[no-untyped-def]
    """Add the scores of all documents of range ``r`` to ``scores``; returns how many postings there were.

    In increasing order of term, with float32 products and sums and nothing fused: the order that
    every exact strategy keeps, so that scores agree to the last bit.
    """
    touched = 0
    width = blocks.n_ranges + 1
    positions, weights = np.uint64(LINE // blocks.local.itemsize), np.uint64(LINE // blocks.impacts.itemsize)
    for i in range(begin, end):
        term = np.int64(queries.columns[i])
        entry = 2 * (term * width + r)
        first, last = np.uint64(blocks.runs[entry]), np.uint64(blocks.runs[entry + 2])
        touched += np.int64(last - first)
        origin = np.uint64(blocks.offsets[term])
        add_run(blocks, origin + first, origin + last, queries.weights[i], scores)
        if r + 1 < blocks.n_ranges:  # the next run of this term begins where this one ends
            next_run = origin + last
            prefetch(blocks.local, next_run)  # more than the first line: the processor's own prefetching starts late
            prefetch(blocks.local, next_run + positions)
            prefetch(blocks.impacts, next_run)
            prefetch(blocks.impacts, next_run + weights)
            prefetch(blocks.impacts, next_run + weights * np.uint64(2))
            prefetch(blocks.impacts, next_run + weights * np.uint64(3))
    return touched


@inner_kernel
def add_run(blocks, first, last, weight, scores):  # type: ignore[no-untyped-def]
    """Add the postings [first, last) of one run, times ``weight``, to ``scores``.

    A document occurs once in a run, so four scores may be read before the first of them is written: said
    outright, since the compiler cannot know it. It saves an eighth of the time.
    """
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    p = first
    while p + four <= last:
        a, b = np.uint64(blocks.local[p]), np.uint64(blocks.local[p + one])
        c, d = np.uint64(blocks.local[p + two]), np.uint64(blocks.local[p + three])
        x = scores[a] + weight * (as_weight(blocks.impacts[p]) * blocks.scale)
        y = scores[b] + weight * (as_weight(blocks.impacts[p + one]) * blocks.scale)
        z = scores[c] + weight * (as_weight(blocks.impacts[p + two]) * blocks.scale)
        w = scores[d] + weight * (as_weight(blocks.impacts[p + three]) * blocks.scale)
        scores[a], scores[b], scores[c], scores[d] = x, y, z, w
        p += four
    while p < last:
        scores[np.uint64(blocks.local[p])] += weight * (as_weight(blocks.impacts[p]) * blocks.scale)
        p += one


@inner_kernel
def stream_all(blocks, queries, begin, end, k, bar, allowed, scores, pool):  # type: ignore[no-untyped-def]
    """The keys of the k best documents at the front of ``pool``; returns how many, and the postings touched.

    ``scores`` are float32 zeros, as long as a range, and zeros again afterwards.
    """
    bits = scores.view(np.uint32)
    count = touched = np.int64(0)
    width = 1 << blocks.range_bits
    for r in range(blocks.n_ranges):
        found = score_range(blocks, queries, begin, end, r, scores)
        touched += found
        if found:
            n = min(width, blocks.n_docs - r * width)
            count, bar = gather(bits, np.int64(0), n, r * width, blocks.order, allowed, pool, count, k, bar)
            scores[:n] = 0
    count, bar = raise_bar(pool, count, k, bar)
    return count, touched
