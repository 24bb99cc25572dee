"""Keys of vectors as columns: tokens numbered as they come, or term ids as they are."""

import re
from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splade.data.vectors.vector_parts import LARGEST_ID, Part

WHOLE_NUMBER = re.compile("0|[1-9][0-9]*")


class Terms(Protocol):
    """Distinct terms, numbered in the order they were added."""

    numbers_of: dict[str, int]

    def add(self, term: str) -> int:
        """The number of ``term``, which may be new."""

    def __len__(self) -> int: ...


class TokenNumbers:
    """Numbers tokens by ``terms``, which new tokens are added to; ``width`` is the number of terms."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    @property
    def width(self) -> int:
        """The number of terms."""
        return len(self.terms)

    def columns(self, part: Part) -> NDArray[np.int64]:
        """The number of every key of ``part``."""
        known = self.terms.numbers_of
        for key in part.keys:
            if key not in known:
                self.terms.add(key)
        return np.fromiter(map(known.__getitem__, part.keys), np.int64, len(part.keys))


class TermIds:
    """Keys that are term ids already, in decimal; ``width`` is one more than the largest so far."""

    def __init__(self) -> None:
        self.width = 1

    def columns(self, part: Part) -> NDArray[np.int64]:
        """The term id of every entry of ``part``; InputError where a key is none."""
        if part.columns is not None:
            self.width = max(self.width, part.width)
            return part.columns
        if not are_whole_numbers(part.keys):
            place = next(i for i, key in enumerate(part.keys) if not WHOLE_NUMBER.fullmatch(key))
            raise part.error_at(
                place,
                f"the key {part.keys[place]!r} is no term id, but others are; set data.VECTOR_KEYS=tokens if keys are "
                "tokens",
            )
        ids = np.fromiter((min(int(key), LARGEST_ID + 1) for key in part.keys), np.int64, len(part.keys))
        if (ids > LARGEST_ID).any():
            place = int((ids > LARGEST_ID).argmax())
            raise part.error_at(
                place,
                f"the term id {part.keys[place]} is above {LARGEST_ID}; set data.VECTOR_KEYS=tokens to have keys "
                "numbered",
            )
        self.width = max(self.width, int(ids.max(initial=0)) + 1)
        return ids


def are_whole_numbers(keys: Iterable[str]) -> bool:
    """True where every key is a whole number as it is usually written."""
    return all(map(WHOLE_NUMBER.fullmatch, keys))
