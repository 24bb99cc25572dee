"""A stretch of vectors as its file holds it, and how it becomes sparse rows."""

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.records import SparseBatch, SparseRows

LARGEST_ID = np.iinfo(np.int32).max - 1  # so that the size of the vocabulary fits too


class Terms(Protocol):
    """Numbers for keys, more of them as they are met."""

    numbers_of: dict[str, int]

    def add(self, term: str) -> int:
        """The number of ``term``, which may be new."""

    def __len__(self) -> int:
        """One more than the largest number."""


class TermIds:
    """Keys that are term ids already, in decimal."""

    def __init__(self) -> None:
        self.numbers_of: dict[str, int] = {}
        self._end = 0

    def __len__(self) -> int:
        return self._end

    def add(self, term: str) -> int:
        """The term id that ``term`` spells; ValueError where it spells none."""
        if not is_whole_number(term):
            raise ValueError(
                f"the key {term!r} is no term id, but others are; set data.VECTOR_KEYS=tokens if all keys are tokens"
            )
        number = int(term) if len(term) <= 10 else LARGEST_ID + 1
        if number > LARGEST_ID:
            raise ValueError(f"the term id {term} is larger than {LARGEST_ID}, the largest there may be")
        self.numbers_of[term] = number
        self._end = max(self._end, number + 1)
        return number


class Part(NamedTuple):
    """Some vectors one after the other. Of a matrix, ``keys`` is empty and ``columns`` holds the term ids."""

    path: Path
    first: int  # line of the first one, from 1; row of the first one, from 0, in a matrix
    number: int  # of the first one in the collection
    ids: Sequence[str]
    counts: NDArray[np.int64]  # [vectors], entries of each
    keys: Sequence[str]  # [entries]
    weights: NDArray[np.float32]  # [entries], finite, ≥ 0
    columns: NDArray[np.int64] | None = None  # [entries]
    width: int = 0  # columns of the matrix

    @classmethod
    def empty(cls, path: Path, number: int) -> "Part":
        """No vectors, before ``number``."""
        return cls(path, 1, number, (), np.zeros(0, np.int64), (), np.zeros(0, np.float32))

    def place(self, i: int) -> str:
        """Where vector i is, in words."""
        return f"{'line' if self.columns is None else 'row'} {self.first + i} of {self.path.name}"

    def error(self, i: int, problem: str) -> InputError:
        """The error about vector i."""
        if self.columns is None:
            return InputError.at(self.path, self.first + i, problem)
        return InputError(f"{self.path}: row {self.first + i} (from 0): {problem}")


def is_whole_number(key: str) -> bool:
    """Whether ``key`` is a whole number ≥ 0 as it is usually written, without zeros before it."""
    return key.isascii() and key.isdecimal() and (key[0] != "0" or len(key) == 1)


def numbered(part: Part, terms: Terms) -> NDArray[np.int64]:
    """The column of every entry; keys that are new are added in the order they come."""
    if part.columns is not None:
        return part.columns
    found = np.fromiter(map(terms.numbers_of.get, part.keys, repeat(-1)), np.int64, len(part.keys))
    for place in np.flatnonzero(found < 0).tolist():
        try:
            found[place] = terms.add(part.keys[place])
        except InputError:
            raise
        except ValueError as error:
            row = int(np.searchsorted(np.cumsum(part.counts), place, side="right"))
            raise part.error(row, str(error)) from error
    return found


def assemble(part: Part, columns: NDArray[np.int64], vocab_size: int) -> SparseBatch:
    """The vectors as sparse rows: columns in order, without zeros. InputError for a column twice in a vector."""
    rows = np.repeat(np.arange(len(part.ids)), part.counts)
    kept = part.weights > 0
    if not kept.all():
        rows, columns = rows[kept], columns[kept]
    keys = (rows << 32) | columns
    weights = part.weights if len(keys) == len(part.weights) else part.weights[kept]
    steps = np.diff(keys)
    if (steps <= 0).any():
        order = np.argsort(keys)
        keys, weights = keys[order], weights[order]
        if (twice := np.flatnonzero(keys[1:] == keys[:-1])).size:
            row, column = divmod(int(keys[twice[0]]), 1 << 32)
            raise part.error(row, f"column {column} comes twice; add equal ones up (sum_duplicates) before saving")
    offsets = np.searchsorted(keys, np.arange(len(part.ids) + 1) << 32).astype(np.int64)
    sorted_columns = (keys & 0xFFFFFFFF).astype(np.int32)
    return SparseBatch(tuple(part.ids), SparseRows(offsets, sorted_columns, weights), vocab_size)
