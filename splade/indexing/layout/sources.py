"""The vectors of an index under construction: held in memory, in segments on disk, or in finished indexes.

An index is laid out in two walks: over the documents, to see which are alike, and over the terms, whose
postings become its runs. A source can be walked in both ways, any number of times, in bounded memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.indexing.format.weights import Codec
from splade.indexing.layout.segments import Segment
from splade.kernels.blocks import Blocks
from splade.kernels.cluster import rows_between
from splade.kernels.compiled import kernel, read_only, read_only_rows
from splade.kernels.restore import postings_of, rows_of_range
from splade.kernels.sparse import concatenate, slice_rows, take_rows, transpose
from splade.records import SparseRows

CHUNK = 1 << 16  # documents whose vectors are handed out at a time
DTYPES: dict[str, np.dtype[Any]] = {
    "columns": np.dtype("<i4"),  # of a segment: document numbers, increasing within a term
    "weights": np.dtype("<f4"),
}


class Documents(NamedTuple):
    """Some documents: their numbers, and their vectors as rows of terms."""

    docs: NDArray[np.int64]
    rows: SparseRows


class Source(Protocol):
    """Vectors that can be walked by document and by term."""

    n_docs: int
    offsets: NDArray[np.int64]  # [V + 1] where each term's postings would begin if all were in one array

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``: a row per term, document numbers increasing."""

    def documents(self) -> Iterator[Documents]:
        """Every document once, CHUNK or fewer at a time."""


class InMemory:
    """The rows of a matrix; 8 bytes per posting for their transposition."""

    def __init__(self, rows: SparseRows, n_terms: int) -> None:
        self._rows = read_only_rows(rows)
        self._postings = transpose(rows, n_terms)
        self.n_docs, self.offsets = len(rows.offsets) - 1, self._postings.offsets

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``: views."""
        return slice_rows(self._postings, first, last)

    def documents(self) -> Iterator[Documents]:
        """Every document once, in order."""
        for first in range(0, self.n_docs, CHUNK):
            last = min(first + CHUNK, self.n_docs)
            yield Documents(np.arange(first, last), read_only_rows(slice_rows(self._rows, first, last)))


class OnDisk:
    """Segments one after the other; a segment's postings are by term, with document numbers of the whole.

    Files are read, not mapped, so that the memory held is the memory counted: the postings that `of_terms`
    returns, twice while they are joined, and one segment at a time in `documents`.
    """

    def __init__(self, folders: Sequence[Path], segments: Sequence[Segment], n_terms: int) -> None:
        self._folders = folders
        self._sizes = [segment.n_docs for segment in segments]
        self.n_docs = sum(self._sizes)
        self._starts = [_padded(np.fromfile(folder / "offsets.bin", "<i8"), n_terms) for folder in folders]
        self.offsets: NDArray[np.int64] = np.add.reduce([np.zeros(n_terms + 1, np.int64), *self._starts], axis=0)

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``. A later segment's documents have larger numbers."""
        offsets = self.offsets[first : last + 1] - self.offsets[first]
        columns, weights = (self._join(name, offsets, first, last) for name in ("columns", "weights"))
        return SparseRows(read_only(offsets), read_only(columns), read_only(weights))

    def documents(self) -> Iterator[Documents]:
        """Every document once, in order."""
        start = 0
        for folder, offsets, n_docs in zip(self._folders, self._starts, self._sizes, strict=True):
            yield from _documents_of(folder, offsets, start, n_docs)
            start += n_docs

    def _join(self, name: str, offsets: NDArray[np.int64], first: int, last: int) -> NDArray[Any]:
        """The parts of an array that belong to the terms, from all segments, interleaved by term."""
        parts = (
            (_read(folder, name, int(starts[first]), int(starts[last] - starts[first])), starts[first : last + 1])
            for folder, starts in zip(self._folders, self._starts, strict=True)
        )
        return _interleaved(parts, offsets, name)


def _documents_of(folder: Path, offsets: NDArray[np.int64], start: int, n_docs: int) -> Iterator[Documents]:
    """The documents of one segment, whose first is number ``start``."""
    columns, weights = (_read(folder, name, 0, -1) for name in ("columns", "weights"))
    postings = read_only_rows(SparseRows(offsets, columns, weights))
    cursors = offsets[:-1].copy()
    for first in range(start, start + n_docs, CHUNK):
        last = min(first + CHUNK, start + n_docs)
        ends = np.zeros(last - first + 1, np.int64)
        rows = SparseRows(ends, *rows_between(postings, cursors, first, last, ends))
        yield Documents(np.arange(first, last), read_only_rows(rows))


class Stored:
    """Documents of finished indexes, numbered anew; walked by document in the order they are laid out in.

    ``parts`` are the blocks of each index and the new number of each of its documents, -1 for those left out.
    """

    def __init__(self, parts: Sequence[tuple[Blocks, NDArray[np.int32]]], n_terms: int) -> None:
        self._parts = parts
        self.n_docs = sum(int(np.count_nonzero(numbers >= 0)) for _, numbers in parts)
        starts = [_padded(blocks.offsets, n_terms) for blocks, _ in parts]
        self.offsets: NDArray[np.int64] = np.add.reduce([np.zeros(n_terms + 1, np.int64), *starts], axis=0)

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``. A later index's documents have larger numbers."""
        found = [self._postings(blocks, numbers, first, last) for blocks, numbers in self._parts]
        offsets = np.add.reduce([part.offsets for part in found])
        columns, weights = (
            _interleaved(((getattr(part, name), part.offsets) for part in found), offsets, name) for name in DTYPES
        )
        return read_only_rows(SparseRows(offsets, columns, weights))

    def documents(self) -> Iterator[Documents]:
        """Every document once, a range at a time."""
        for blocks, numbers in self._parts:
            for r in range(int(blocks.n_ranges)):
                docs, rows = rows_of_range(blocks, r)
                left = np.flatnonzero(numbers[docs] >= 0)
                if len(left) < len(docs):
                    rows = read_only_rows(take_rows(rows, left))
                yield Documents(numbers[docs[left]].astype(np.int64), rows)

    def _postings(self, blocks: Blocks, numbers: NDArray[np.int32], first: int, last: int) -> SparseRows:
        known = min(last, len(blocks.offsets) - 1)
        if first >= known:
            nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
            return read_only_rows(SparseRows(np.zeros(last - first + 1, np.int64), *nothing))
        rows = postings_of(blocks, first, known, numbers)
        return rows._replace(offsets=read_only(_padded(rows.offsets, last - first)))


class Kept:
    """A source with its weights as an index keeps them, so that a merge makes the same choices again."""

    def __init__(self, source: Source, codec: Codec) -> None:
        self._source, self._codec = source, codec
        self.n_docs, self.offsets = source.n_docs, source.offsets

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``."""
        return self._with_kept_weights(self._source.of_terms(first, last))

    def documents(self) -> Iterator[Documents]:
        """Every document once."""
        for docs, rows in self._source.documents():
            yield Documents(docs, self._with_kept_weights(rows))

    def _with_kept_weights(self, rows: SparseRows) -> SparseRows:
        return rows._replace(weights=read_only(self._codec.keep(rows.weights)))


def take(source: Source, chosen: NDArray[np.integer]) -> SparseRows:
    """The vectors of the ``chosen`` documents as rows in their order; walks over all documents once."""
    places = np.full(source.n_docs, -1, np.int32)
    places[chosen] = np.arange(len(chosen), dtype=np.int32)
    parts, found = [], [np.empty(0, np.int32)]
    for docs, rows in source.documents():
        inside = np.flatnonzero(places[docs] >= 0)
        parts.append(take_rows(rows, inside))
        found.append(places[docs[inside]])
    return read_only_rows(take_rows(concatenate(parts), np.argsort(np.concatenate(found))))


def _padded(offsets: NDArray[np.int64], n_terms: int) -> NDArray[np.int64]:
    """Offsets over ``n_terms`` terms; a segment may have known fewer."""
    return np.concatenate([offsets, np.full(n_terms + 1 - len(offsets), offsets[-1])])


def _read(folder: Path, name: str, skipped: int, count: int) -> NDArray[Any]:
    dtype = DTYPES[name]
    return np.fromfile(folder / f"{name}.bin", dtype, count, offset=skipped * dtype.itemsize)


def _interleaved(
    parts: Iterable[tuple[NDArray[Any], NDArray[np.int64]]], offsets: NDArray[np.int64], name: str
) -> NDArray[Any]:
    """Of each part in turn its array ``name`` and where its terms begin: all of them by term, from ``offsets`` on."""
    joined = np.empty(offsets[-1], np.int32)  # four-byte elements as their bits
    cursors = offsets[:-1].copy()
    for part, starts in parts:
        deal(read_only(part.view(np.int32)), read_only(starts), cursors, joined)
    return joined.view(DTYPES[name])


@kernel
def deal(part, starts, cursors, joined):  # type: ignore[no-untyped-def]
    """Append each term's slice of ``part`` at its place in ``joined``, which ``cursors`` keeps."""
    for term in range(cursors.size):
        place = cursors[term]
        for p in range(starts[term] - starts[0], starts[term + 1] - starts[0]):
            joined[place] = part[p]
            place += 1
        cursors[term] = place
