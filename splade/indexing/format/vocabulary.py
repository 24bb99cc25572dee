"""The terms of an index as strings: what term number 2054 is called."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.indexing.format.doc_ids import pack


class Vocabulary:
    """Terms by number, and numbers by term; grows, and forgets nothing.

    ``numbers_of`` is the dictionary itself, for loops that look up many terms: read it, do not write it.
    """

    def __init__(self, terms: Iterable[str] = ()) -> None:
        self._terms: list[str] = []
        self.numbers_of: dict[str, int] = {}
        for number, term in enumerate(terms):
            if self.add(term) != number:
                raise ValueError(f"term {term!r} occurs twice in the vocabulary: every term has one number")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Vocabulary | None":
        """The vocabulary whose arrays have these names in storage; None where there is none."""
        if "term_text" not in arrays:
            return None
        return cls(unpack(arrays["term_text"], arrays["term_offsets"]))

    def arrays(self, first: int = 0) -> dict[str, NDArray[Any]]:
        """The terms from number ``first`` on as arrays, under their names in storage."""
        text, offsets = pack(self._terms[first:])
        return {"term_text": text, "term_offsets": offsets}

    def add(self, term: str) -> int:
        """The number of ``term``, which is the next one where the term is new."""
        number = self.numbers_of.setdefault(term, len(self._terms))
        if number == len(self._terms):
            self._terms.append(term)
        return number

    def __len__(self) -> int:
        return len(self._terms)

    def __getitem__(self, number: int) -> str:
        return self._terms[number]

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._terms == other._terms

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} terms>"

    __hash__ = None  # type: ignore[assignment] # it grows


def unpack(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[str]:
    """The strings that `splade.indexing.format.doc_ids.pack` made these arrays of."""
    octets = text.tobytes()
    return [octets[begin:end].decode() for begin, end in pairwise(offsets.tolist())]
