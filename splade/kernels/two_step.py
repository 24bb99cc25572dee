"""Scoring given documents exactly, wherever in the index they are."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.topk import raise_bar
from splade.kernels.visit import visit


@kernel
def rescore_all(blocks, queries, first, last, k, floor, positions, found, chosen, allowed, scratch, keys, counts):  # type: ignore[no-untyped-def]
    """Write the keys of the best of the documents of keys ``found`` [last - first, n], scored for the whole query.

    ``positions`` gives each document's position; ``chosen`` is uint8 [n_docs], zeros before and after, and
    ``allowed`` a read-only view of it, of the type that `visit` is compiled for.
    """
    start = (np.uint64(floor) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    bounds = np.full(blocks.n_blocks, np.uint32(0xFFFFFFFF))  # no bar passes these: all are visited
    for q in range(first, last):
        places = np.empty(found.shape[1], np.uint64)
        n = 0
        for key in found[q - first]:
            if key != 0:
                doc = np.uint32(np.uint64(0xFFFFFFFF) - (key & np.uint64(0xFFFFFFFF)))
                chosen[doc] = 1
                places[n] = np.uint64(positions[doc]) >> np.uint64(blocks.block_bits)
                n += 1
        visits = distinct(places[:n])
        count, bar, _ = visit(
            blocks, queries, queries.offsets[q], queries.offsets[q + 1], visits, bounds, k, start, allowed,
            scratch.pool, np.int64(0), scratch.pipeline, counts[q - first],
        )  # fmt: skip
        count, bar = raise_bar(scratch.pool, count, k, bar)
        for i in range(count):
            keys[q - first, i] = scratch.pool[i]
        for key in found[q - first]:
            if key != 0:
                chosen[np.uint32(np.uint64(0xFFFFFFFF) - (key & np.uint64(0xFFFFFFFF)))] = 0


@inner_kernel
def distinct(numbers):  # type: ignore[no-untyped-def]
    """The different ones of uint64 ``numbers``, which are sorted in place, as int64 in increasing order."""
    numbers.sort()
    different = np.empty(numbers.size, np.int64)
    n = 0
    for number in numbers:
        if n == 0 or np.int64(number) != different[n - 1]:
            different[n] = number
            n += 1
    return different[:n]
