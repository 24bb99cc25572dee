"""From the scores of positions to keys in the pool of candidates."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import at_least, trailing_zeros
from splade.kernels.topk import LANES, as_key, least_bits, raise_bar


@kernel
def gather(bits, start, stop, origin, order, allowed, pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Put into the pool each document whose key exceeds the bar, which rises; returns count and bar.

    ``bits[start:stop]`` are score bits, and ``origin`` the position of ``bits[0]``. ``allowed`` is empty
    or has 0 for documents to leave out. All of a group are compared at once; most have no hit. Hits go into the
    pool as score bits and positions; their documents are looked up when all are there, or it is full.
    """
    least = least_bits(bar)
    named = count
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
            if allowed.size > 0 and allowed[order[np.uint64(origin) + i]] == 0:
                continue
            pool[np.uint64(count)] = (np.uint64(bits[i]) << np.uint64(32)) | (np.uint64(origin) + i)
            count += 1
            if count == pool.size:
                count = name_documents(order, pool, named, count, bar)
                if count == pool.size:
                    count, bar = raise_bar(pool, count, k, bar)
                    least = least_bits(bar)
                named = count
    return name_documents(order, pool, named, count, bar), bar


@inner_kernel
def name_documents(order, pool, first, last, bar):  # type: ignore[no-untyped-def]
    """Make keys of the hits ``pool[first:last]``; returns where those that exceed the bar end.

    No document depends on another, so that the processor waits for many of them at a time.
    """
    low = np.uint64(0xFFFFFFFF)
    count = first
    for i in range(first, last):
        hit = pool[np.uint64(i)]
        key = as_key(hit >> np.uint64(32), order[hit & low])
        pool[np.uint64(count)] = key
        count += np.int64(key > bar)
    return count
