"""From the scores of positions to keys in the pool of candidates."""

import numpy as np

from splade.kernels.compiled import kernel
from splade.kernels.topk import as_key, least_bits, raise_bar

LANES = 64  # scores are compared this many at a time


@kernel
def gather(bits, start, stop, origin, order, allowed, pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Put into the pool each document whose key exceeds the bar, which rises; returns count and bar.

    ``bits[start:stop]`` are score bits, and ``origin`` the position of ``bits[0]``. ``allowed`` is empty
    or has 0 for documents to leave out. Counting first makes the usual case, no hit, a vector loop.
    """
    least = least_bits(bar)
    for base in range(start, stop, LANES):
        limit = min(base + LANES, stop)
        hits = np.uint32(0)
        for i in range(base, limit):
            hits += np.uint32(bits[np.uint64(i)] >= least)
        if hits == 0:
            continue
        for i in range(base, limit):
            if bits[np.uint64(i)] < least:
                continue
            doc = order[np.uint64(origin + i)]
            key = as_key(bits[np.uint64(i)], doc)
            if key > bar and (allowed.size == 0 or allowed[doc] != 0):
                pool[count] = key
                count += 1
                if count == pool.size:
                    count, bar = raise_bar(pool, count, k, bar)
                    least = least_bits(bar)
    return count, bar
