"""Joining the postings of segments, term by term, in bounded memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.indexing.storage import DTYPES
from splade.kernels.compiled import kernel, read_only

Write = Callable[[NDArray[Any]], None]
PARTS = ("columns", "weights")


def merge(
    folders: Sequence[Path], starts: Sequence[NDArray[np.int64]], budget: int, write: Mapping[str, Write]
) -> NDArray[np.int64]:
    """Append the postings of the segments in ``folders`` through ``write["columns"]`` and ``["weights"]``.

    ``starts`` are the segments' offsets, [segments, vocab_size + 1]. Documents of a later segment
    have larger numbers, so a term's postings are its segments' one after the other. Holds about
    ``budget`` bytes at a time, and reads rather than maps, so that these are all it takes. Returns
    the offsets of the whole.
    """
    offsets: NDArray[np.int64] = np.add.reduce(list(starts), axis=0)
    for first, last in _ranges(offsets, max(budget // 8, 1)):
        for name in PARTS:
            slices = _read(folders, starts, first, last, name)
            if last == first + 1:  # one term, however long: nothing to interleave
                for part in slices:
                    write[name](part)
            else:
                write[name](_join(slices, starts, offsets, first, last).view(DTYPES[name]))
    return offsets


def _ranges(offsets: NDArray[np.int64], entries: int) -> Iterator[tuple[int, int]]:
    """Ranges of terms that cover all, each with at most ``entries`` postings or of one term."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + entries, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


def _read(
    folders: Sequence[Path], starts: Sequence[NDArray[np.int64]], first: int, last: int, name: str
) -> Iterator[NDArray[Any]]:
    """Of each segment in turn, the part of an array that belongs to the terms of a range."""
    for folder, start in zip(folders, starts, strict=True):
        dtype = DTYPES[name]
        skipped, count = int(start[first]) * dtype.itemsize, int(start[last] - start[first])
        yield np.fromfile(folder / f"{name}.bin", dtype, count, offset=skipped)


def _join(
    slices: Iterator[NDArray[Any]],
    starts: Sequence[NDArray[np.int64]],
    offsets: NDArray[np.int64],
    first: int,
    last: int,
) -> NDArray[np.int32]:
    """The slices interleaved by term; four-byte elements as their bits."""
    joined = np.empty(offsets[last] - offsets[first], np.int32)
    cursors = offsets[first:last] - offsets[first]
    for part, start in zip(slices, starts, strict=True):
        deal(read_only(part.view(np.int32)), read_only(start[first : last + 1]), cursors, joined)
    return joined


@kernel
def deal(part, starts, cursors, joined):  # type: ignore[no-untyped-def]
    """Append each term's slice of ``part`` at its place in ``joined``, which ``cursors`` keeps."""
    for term in range(cursors.size):
        place = cursors[term]
        for p in range(starts[term] - starts[0], starts[term + 1] - starts[0]):
            joined[place] = part[p]
            place += 1
        cursors[term] = place
