"""64-bit hashes of string ids, many at a time."""

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel, read_only


def hash_ids(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """FNV-1a of each string ``text[offsets[i]:offsets[i + 1]]`` of UTF-8 bytes; uint64 [n].

    The same on every machine and in every process, so that it may be stored. Equal hashes do not
    prove equal strings: whoever finds two compares the strings.
    """
    hashes = np.empty(len(offsets) - 1, np.uint64)
    fnv1a(read_only(text), read_only(offsets), hashes)
    return hashes


@kernel
def fnv1a(text, offsets, hashes):  # type: ignore[no-untyped-def]
    """Write the hash of each string into ``hashes``."""
    for i in range(hashes.size):
        value = np.uint64(14695981039346656037)
        for p in range(offsets[i], offsets[i + 1]):
            value = (value ^ np.uint64(text[p])) * np.uint64(1099511628211)
        hashes[i] = value
