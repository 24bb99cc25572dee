"""From the scores of positions to keys in the pool of candidates."""

import numpy as np

from splade.kernels.compiled import kernel
from splade.kernels.intrinsics import at_least, trailing_zeros
from splade.kernels.topk import as_key, least_bits, raise_bar

LANES = 64  # scores are compared this many at a time


@kernel
def gather(bits, start, stop, origin, order, allowed, pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Put into the pool each document whose key exceeds the bar, which rises; returns count and bar.

    ``bits[start:stop]`` are score bits, and ``origin`` the position of ``bits[0]``. ``allowed`` is empty
    or has 0 for documents to leave out. All of a group are compared at once; most have no hit.
    """
    least = least_bits(bar)
    for base in range(start, stop, LANES):
        hits = np.uint64(0)
        if base + LANES <= stop:
            hits = at_least(bits, base, least)
        else:
            for i in range(base, stop):
                hits |= np.uint64(bits[np.uint64(i)] >= least) << np.uint64(i - base)
        while hits:
            i = np.uint64(base) + trailing_zeros(hits)
            hits &= hits - np.uint64(1)
            doc = order[np.uint64(origin) + i]
            key = as_key(bits[i], doc)
            if key > bar and (allowed.size == 0 or allowed[doc] != 0):
                pool[count] = key
                count += 1
                if count == pool.size:
                    count, bar = raise_bar(pool, count, k, bar)
                    least = least_bits(bar)
    return count, bar
