"""Scoring every document of a range: fast per posting, for any query."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.gather import gather
from splade.kernels.intrinsics import EIGHT, as_weight, eight_places, eight_products, prefetch
from splade.kernels.topk import count_reaching, nth_largest_bits, raise_bar

MANY = 64  # results from which on a bar is looked for before the first are gathered
EVERY = 16  # score of a range is looked at for it
LINE = 16  # float32 weights of a cache line
STRETCH = 2 * LINE  # postings that are asked for at a time: a cache line of places
AHEAD = 1024  # postings between the stretch that is asked for and the one added: in the next range's run, often


@kernel
def score_range(blocks, queries, begin, end, r, scores):  # type: ignore[no-untyped-def]
    """Add the scores of all documents of range ``r`` to ``scores``; returns how many postings there were.

    In increasing order of term, with float32 products and sums and nothing fused: the order that
    every exact strategy keeps, so that scores agree to the last bit.
    """
    touched = 0
    width = blocks.n_ranges + 1
    for i in range(begin, end):
        term = np.int64(queries.columns[i])
        entry = 2 * (term * width + r)
        first, last = np.uint64(blocks.runs[entry]), np.uint64(blocks.runs[entry + 2])
        touched += np.int64(last - first)
        if i + 1 < end:
            fetch_run(blocks, np.int64(queries.columns[i + 1]), r)
        dense = np.int64(blocks.dense_rows[term])
        if dense >= 0:
            add_row(blocks, dense, r << blocks.range_bits, queries.weights[i], scores)
        else:
            origin = np.uint64(blocks.offsets[term])
            add_run(blocks, origin + first, origin + last, queries.weights[i], scores)
    return touched


@inner_kernel
def fetch_run(blocks, term, r):  # type: ignore[no-untyped-def]
    """Ask for the first 128 postings of a term's run in range ``r``: the processor's own prefetching starts late.

    Line by line of 64 bytes, outright: in a loop, numba counts references to every array of the index at each call.
    """
    first = np.uint64(blocks.offsets[term]) + np.uint64(blocks.runs[2 * (term * (blocks.n_ranges + 1) + r)])
    prefetch(blocks.local, first + np.uint64(0))
    prefetch(blocks.local, first + np.uint64(32))
    prefetch(blocks.local, first + np.uint64(64))
    prefetch(blocks.local, first + np.uint64(96))
    prefetch(blocks.impacts, first + np.uint64(0))
    prefetch(blocks.impacts, first + np.uint64(16))
    prefetch(blocks.impacts, first + np.uint64(32))
    prefetch(blocks.impacts, first + np.uint64(48))
    prefetch(blocks.impacts, first + np.uint64(64))
    prefetch(blocks.impacts, first + np.uint64(80))
    prefetch(blocks.impacts, first + np.uint64(96))
    prefetch(blocks.impacts, first + np.uint64(112))


@inner_kernel
def add_run(blocks, first, last, weight, scores):  # type: ignore[no-untyped-def]
    """Add the postings [first, last) of one run, times ``weight``, to ``scores``.

    A term's next run lies behind this one, and is read when all other terms have been: asking for what lies AHEAD saves
    a sixth of the time.
    """
    p = first
    while p < last:
        prefetch(blocks.local, p + np.uint64(AHEAD))
        prefetch(blocks.impacts, p + np.uint64(AHEAD))
        if blocks.impacts.itemsize == 4:
            prefetch(blocks.impacts, p + np.uint64(AHEAD + LINE))
        stop = min(p + np.uint64(STRETCH), last)
        add_postings(blocks, p, stop, weight, scores)
        p = stop


@inner_kernel
def add_postings(blocks, first, last, weight, scores):  # type: ignore[no-untyped-def]
    """Add the postings [first, last) of one run, times ``weight``, to ``scores``.

    Places and weights are loaded eight at a time. Since a document occurs once in a run, four scores may be read before
    the first of them is written, which is said outright: the compiler cannot know it.
    """
    eight = np.uint64(EIGHT)
    p = first
    while p + eight <= last:
        at = eight_places(blocks.local, p)
        add = eight_products(blocks.impacts, p, weight, blocks.scale)
        x, y = scores[at[0]] + add[0], scores[at[1]] + add[1]
        z, w = scores[at[2]] + add[2], scores[at[3]] + add[3]
        scores[at[0]], scores[at[1]], scores[at[2]], scores[at[3]] = x, y, z, w
        x, y = scores[at[4]] + add[4], scores[at[5]] + add[5]
        z, w = scores[at[6]] + add[6], scores[at[7]] + add[7]
        scores[at[4]], scores[at[5]], scores[at[6]], scores[at[7]] = x, y, z, w
        p += eight
    while p < last:
        scores[np.uint64(blocks.local[p])] += weight * as_weight(blocks.impacts[p], blocks.scale)
        p += np.uint64(1)


@inner_kernel
def add_row(blocks, row, first, weight, scores):  # type: ignore[no-untyped-def]
    """Add a dense row's weights, times ``weight``, to the ``scores`` of positions from ``first`` on; returns how many.

    Many at a time: a document without the term gets 0 more, which changes no bit of its score.
    """
    origin = np.uint64(row) * np.uint64(blocks.n_docs) + np.uint64(first)
    n = min(np.uint64(scores.size), np.uint64(blocks.n_docs) - np.uint64(first))
    for i in range(n):
        scores[i] += weight * as_weight(blocks.dense[origin + i], blocks.scale)
    return np.int64(n)


@inner_kernel
def bar_of_sample(bits, n, k):  # type: ignore[no-untyped-def]
    """A key that at least ``k`` of the score bits ``bits[:n]`` exceed, and not many more; 0 where none is found.

    Without it, k (1 + ln(n / k)) documents would pass for one of the k best before they are known. A sample tells a
    score that somewhat more than k should reach; all are compared with it to see whether they do.
    """
    size = n // EVERY
    rank = k // EVERY + np.int64(2.0 * np.sqrt(k / EVERY)) + 1
    if rank >= size:
        return np.uint64(0)
    sample = np.empty(size, np.uint32)
    for i in range(size):
        sample[i] = bits[np.uint64(i * EVERY)]
    least = nth_largest_bits(sample, rank)
    told = least > 0 and count_reaching(bits[:n], least) >= k
    return (np.uint64(least) << np.uint64(32)) - np.uint64(1) if told else np.uint64(0)


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
            if count == 0 and k >= MANY and allowed.size == 0:
                bar = max(bar, bar_of_sample(bits, n, k))
            count, bar = gather(bits, np.int64(0), n, r * width, blocks.order, allowed, pool, count, k, bar)
            scores[:n] = 0
    count, bar = raise_bar(pool, count, k, bar)
    return count, touched
