"""A stretch of vectors as its file holds it, and how it becomes sparse rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.records import SparseBatch, SparseRows

LARGEST_ID = (1 << 24) - 1  # an index has room for every term up to the largest: hashes are no term ids


class Part(NamedTuple):
    """Some vectors one after the other.

    Of lines, ``keys`` are the terms of all entries; of a matrix, ``columns`` holds the term ids and ``width`` their
    number.
    """

    path: Path
    first: int  # line of the first one, from 1; row of the first one, from 0, in a matrix
    number: int  # of the first one in the collection
    ids: Sequence[str]
    counts: NDArray[np.int64]  # [vectors], entries of each
    weights: NDArray[np.float32]  # [entries], finite, ≥ 0
    keys: Sequence[str] = ()  # [entries]
    columns: NDArray[np.int64] | None = None  # [entries]
    width: int = 0

    @classmethod
    def empty(cls, path: Path, number: int) -> "Part":
        """No vectors, before ``number``."""
        return cls(path, 1, number, (), np.zeros(0, np.int64), np.zeros(0, np.float32))

    def place(self, i: int) -> str:
        """Return the place of vector i in words: its line or row, and its file."""
        return f"{'line' if self.columns is None else 'row'} {self.first + i} of {self.path.name}"

    def error(self, i: int, problem: str) -> InputError:
        """The error about vector i."""
        if self.columns is None:
            return InputError.at(self.path, self.first + i, problem)
        return InputError(f"{self.path}: row {self.first + i} (from 0): {problem}")

    def error_at(self, place: int, problem: str) -> InputError:
        """The error about the vector that has the entry at ``place``."""
        return self.error(int(np.searchsorted(np.cumsum(self.counts), place, side="right")), problem)


def assemble(part: Part, columns: NDArray[np.int64], vocab_size: int) -> SparseBatch:
    """The vectors as sparse rows: columns in order, without zeros. InputError for a column twice in a vector."""
    rows = np.repeat(np.arange(len(part.ids)), part.counts)
    entries, weights = (rows << 32) | columns, part.weights
    if (np.diff(entries) <= 0).any():
        order = np.argsort(entries)
        entries, weights = entries[order], weights[order]
        if (twice := np.flatnonzero(entries[1:] == entries[:-1])).size:
            row, column = divmod(int(entries[twice[0]]), 1 << 32)
            what = f"key {part.keys[int(order[twice[0]])]!r}" if part.columns is None else f"column {column}"
            raise part.error(row, f"{what} comes twice; add equal ones up before they are saved")
    kept = weights > 0
    if not kept.all():
        entries, weights = entries[kept], weights[kept]
    offsets = np.searchsorted(entries, np.arange(len(part.ids) + 1) << 32).astype(np.int64)
    sorted_columns = (entries & 0xFFFFFFFF).astype(np.int32)
    return SparseBatch(tuple(part.ids), SparseRows(offsets, sorted_columns, weights), vocab_size)
