"""Measure the recall that would be left if the bounds of blocks were multiplied by a share below 1."""

import numpy as np

from splade.kernels.bounds import sum_bounds, weigh_levels
from splade.kernels.compiled import kernel


@kernel
def measure_recall(blocks, queries, keys, skipped, k, positions, shares, scratch, found):  # type: ignore[no-untyped-def]
    """Write each query's recall at every share into ``found``, float64 [Q, shares], zeroed.

    ``keys`` [Q, at least k + skipped] are exact results, best first; the first ``skipped`` do not count. A document is
    found if the share of its block's bound reaches the k-th best score. A search never asks more of a block, since
    its bar is highest at the end: the true recall is a little better.
    """
    one = np.float32(1)
    for q in range(keys.shape[0]):
        begin, end = queries.offsets[q], queries.offsets[q + 1]
        wanted = 0
        while wanted < k and keys[q, skipped + wanted] != 0:
            wanted += 1
        if wanted < k or not weigh_levels(blocks, queries, begin, end, one, scratch.units):
            found[q] = 1  # all that match are visited, or all documents are
            continue
        sum_bounds(blocks, queries, begin, end, scratch.units, scratch.rows, scratch.values, scratch.bounds)
        bounds = scratch.bounds.view(np.uint32)
        bar = np.uint32(keys[q, skipped + k - 1] >> np.uint64(32))
        for j in range(k):
            doc = np.uint32(np.uint64(0xFFFFFFFF) - (keys[q, skipped + j] & np.uint64(0xFFFFFFFF)))
            block = np.int64(positions[doc]) >> blocks.block_bits
            bound = scratch.bounds[block]
            for s in range(shares.size):
                scratch.bounds[block] = bound * shares[s]
                found[q, s] += bounds[block] >= bar
            scratch.bounds[block] = bound
        found[q] /= k
