"""Keys of vectors as columns: tokens numbered as they come, or term ids as they are."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splade.data.vector_parts import LARGEST_ID, Part
from splade.kernels.compiled import read_only
from splade.kernels.term_table import new_table, number_keys, whole_numbers


class Terms(Protocol):
    """Distinct terms, numbered in the order they were added."""

    def add(self, term: str) -> int:
        """The number of ``term``, which may be new."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...


class TokenNumbers:
    """Numbers tokens by ``terms``, to which those that are new are added; ``width`` is how many there are."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._table, self._known = new_table(1 << 16, 1 << 19), 0

    @property
    def width(self) -> int:
        """How many terms there are."""
        return len(self.terms)

    def columns(self, part: Part) -> NDArray[np.int64]:
        """The number of every key of ``part``."""
        if len(self.terms) > self._known:  # added by somebody else
            self._number(*pack(islice(self.terms, self._known, None)))
        numbers = self._number(part.key_text, part.key_starts)
        table = self._table
        for begin, end in zip(
            table.starts[len(self.terms) : self._known].tolist(),
            table.starts[len(self.terms) + 1 : self._known + 1].tolist(),
            strict=True,
        ):
            self.terms.add(str(table.text[begin:end].data, "utf-8"))
        return numbers

    def _number(self, text: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers = np.empty(len(starts) - 1, np.int64)
        text, starts, done = read_only(text), read_only(starts), 0
        while True:
            done, self._known = number_keys(text, starts, done, self._table, self._known, numbers)
            if done == len(numbers):
                return numbers
            self._grow(int(starts[done + 1] - starts[done]))

    def _grow(self, n_bytes: int) -> None:
        """Twice the room, and for a term of ``n_bytes``; the terms are numbered again, as they were."""
        old, known = self._table, self._known
        self._table, self._known = new_table(2 * old.slots.size, 2 * old.text.size + n_bytes), 0
        numbers = np.empty(known, np.int64)
        _, self._known = number_keys(
            read_only(old.text), read_only(old.starts[: known + 1]), 0, self._table, 0, numbers
        )


class TermIds:
    """Keys that are term ids already, in decimal; ``width`` is one more than the largest so far."""

    def __init__(self) -> None:
        self.width = 1

    def columns(self, part: Part) -> NDArray[np.int64]:
        """The term id of every entry of ``part``; InputError where a key is none."""
        if part.columns is not None:
            self.width = max(self.width, part.width)
            return part.columns
        ids = np.empty(len(part.key_starts) - 1, np.int64)
        whole_numbers(read_only(part.key_text), read_only(part.key_starts), ids)
        wrong = np.flatnonzero((ids < 0) | (ids > LARGEST_ID))
        if wrong.size:
            place = int(wrong[0])
            key = part.key(place)
            if key.isdecimal() and not key.startswith("0"):
                raise part.error_at(
                    place, f"the term id {key} is above {LARGEST_ID}; set data.VECTOR_KEYS=tokens to have keys numbered"
                )
            raise part.error_at(
                place, f"the key {key!r} is no term id, but others are; set data.VECTOR_KEYS=tokens if keys are tokens"
            )
        self.width = max(self.width, int(ids.max(initial=0)) + 1)
        return ids


def pack(texts: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UTF-8 bytes of ``texts`` one after the other, and where each begins: uint8, int64 [n + 1]."""
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), starts


def are_whole_numbers(text: NDArray[np.uint8], starts: NDArray[np.int64]) -> bool:
    """Whether every one of the packed texts is a whole number as it is usually written."""
    found = np.empty(len(starts) - 1, np.int64)
    whole_numbers(read_only(text), read_only(starts), found)
    return bool((found >= 0).all())
