"""Exact search by scoring every document: the reference that other strategies are held to.

A query's posting lists are walked side by side, one range of documents at a time, so that the
range's scores stay in the cache. A document's score is the float32 sum, in increasing order of
term, of query weight times document weight: no other order, no fused multiply-add, so results do
not depend on threads, ranges or machine.
"""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.topk import as_key, keep_best

LANES = 64  # scores are scanned this many at a time


@kernel
def score_all(postings, queries, first, last, n_docs, k, floor, allowed, range_docs, keys):  # type: ignore[no-untyped-def]
    """Write the keys of the best documents of queries ``first`` to ``last`` into ``keys``.

    ``postings`` are terms by documents and ``queries`` texts by terms, both as `SparseRows`;
    ``floor`` are the bits of the score to exceed; ``allowed`` is empty, or uint8 [n_docs] with 0
    for documents to leave out; ``keys`` is uint64 [last - first, k], all 0, filled in no order.
    Assumes 1 <= k, document numbers below ``n_docs`` and terms below the rows of ``postings``.
    """
    width = (min(range_docs, n_docs) + LANES - 1) // LANES * LANES
    scores = np.zeros(width, np.float32)
    bits = scores.view(np.uint32)
    pool = np.empty(min(2 * k + 1024, max(n_docs, k) + 1), np.uint64)
    longest = 0
    for q in range(first, last):
        longest = max(longest, queries.offsets[q + 1] - queries.offsets[q])
    cursors = np.empty(longest, np.int64)
    for q in range(first, last):
        begin = queries.offsets[q]
        end = queries.offsets[q + 1]
        for i in range(begin, end):
            cursors[i - begin] = postings.offsets[queries.columns[i]]
        count = np.int64(0)
        bar = floor
        for base in range(0, n_docs, range_docs):
            if accumulate(postings, queries, begin, end, cursors, base, min(base + range_docs, n_docs), scores):
                count, bar = collect(bits, base, allowed, pool, count, k, bar)
                scores[:] = 0
        count, bar = keep_best(pool, count, k, bar)
        for i in range(count):
            keys[q - first, i] = pool[i]


@inner_kernel
def accumulate(postings, queries, begin, end, cursors, base, limit, scores):  # type: ignore[no-untyped-def]
    """Add the postings of documents in [base, limit) to ``scores``; False if there are none."""
    touched = False
    for i in range(begin, end):
        stop = postings.offsets[queries.columns[i] + 1]
        weight = queries.weights[i]
        start = p = cursors[i - begin]
        while p < stop:
            doc = postings.columns[np.uint64(p)]
            if doc >= limit:
                break
            scores[np.uint64(doc - base)] += weight * postings.weights[np.uint64(p)]
            p += 1
        cursors[i - begin] = p
        touched |= p > start
    return touched


@inner_kernel
def collect(bits, base, allowed, pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Add to the pool the documents of one range whose score exceeds the bar, which rises."""
    for start in range(0, bits.size, LANES):
        hits = np.uint32(0)
        for i in range(LANES):
            hits += np.uint32(bits[np.uint64(start + i)] > bar)
        if hits == 0:
            continue
        for i in range(start, start + LANES):
            if bits[i] > bar and (allowed.size == 0 or allowed[base + i] != 0):
                pool[count] = as_key(bits[i], base + i)
                count += 1
                if count == pool.size:
                    count, bar = keep_best(pool, count, k, bar)
    if count > k:
        count, bar = keep_best(pool, count, k, bar)
    return count, bar
