"""Scoring given documents exactly, wherever in the index they are."""

import numpy as np

from splade.kernels.compiled import kernel
from splade.kernels.topk import raise_bar
from splade.kernels.visit import visit


@kernel
def rescore_all(blocks, queries, first, last, k, floor, positions, found, chosen, scratch, keys, counts):  # type: ignore[no-untyped-def]
    """Write the keys of the best of the documents of keys ``found`` [last - first, n], scored for the whole query.

    ``positions`` gives each document's position; ``chosen`` is uint8 [n_docs], zeros before and after.
    """
    start = (np.uint64(floor) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    bounds = np.full(blocks.n_blocks, np.uint32(0xFFFFFFFF))  # no bar passes these: all are visited
    for q in range(first, last):
        places = np.empty(found.shape[1], np.int64)
        n = 0
        for key in found[q - first]:
            if key != 0:
                doc = np.uint32(np.uint64(0xFFFFFFFF) - (key & np.uint64(0xFFFFFFFF)))
                chosen[doc] = 1
                places[n] = np.int64(positions[doc]) >> blocks.block_bits
                n += 1
        visits = np.unique(places[:n])
        count, bar, scored, touched = visit(
            blocks, queries, queries.offsets[q], queries.offsets[q + 1], visits, bounds, k, start, chosen,
            scratch.pool, 0, scratch.pipeline,
        )  # fmt: skip
        counts[q - first, 0] += scored
        counts[q - first, 2] += touched
        count, bar = raise_bar(scratch.pool, count, k, bar)
        for i in range(count):
            keys[q - first, i] = scratch.pool[i]
        for key in found[q - first]:
            if key != 0:
                chosen[np.uint32(np.uint64(0xFFFFFFFF) - (key & np.uint64(0xFFFFFFFF)))] = 0
