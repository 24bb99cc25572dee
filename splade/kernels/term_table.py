"""Terms numbered in the order they come: a hash table of their bytes in flat arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel

LONGEST_NUMBER = 18  # digits that int64 holds whatever they are


class TermTable(NamedTuple):
    """Open addressing with room for half as many terms as slots; term t is ``text[starts[t]:starts[t + 1]]``."""

    slots: NDArray[np.int32]  # [a power of two], number of a term or -1
    hashes: NDArray[np.uint64]  # [slots], of the term there
    text: NDArray[np.uint8]
    starts: NDArray[np.int64]  # [slots / 2 + 1]


def new_table(n_slots: int, n_bytes: int) -> TermTable:
    """A table without terms; ``n_slots`` is a power of two."""
    return TermTable(
        np.full(n_slots, -1, np.int32),
        np.zeros(n_slots, np.uint64),
        np.zeros(n_bytes, np.uint8),
        np.zeros(n_slots // 2 + 1, np.int64),
    )


@kernel
def number_keys(text, starts, first, table, n_terms, numbers):  # type: ignore[no-untyped-def]
    """Number the keys from key ``first`` on, new ones after the ``n_terms`` that there are.

    Returns the key at which it stopped, because the table has no room for it or there are no more, and the number
    of terms there are then.
    """
    mask = np.uint64(table.slots.size - 1)
    for i in range(first, numbers.size):
        value = np.uint64(14695981039346656037)
        for p in range(starts[i], starts[i + 1]):
            value = (value ^ np.uint64(text[p])) * np.uint64(1099511628211)
        value ^= value >> np.uint64(32)
        slot = value & mask
        while table.slots[slot] >= 0 and not (
            table.hashes[slot] == value and same(text, starts[i], starts[i + 1], table, table.slots[slot])
        ):
            slot = (slot + np.uint64(1)) & mask
        if table.slots[slot] < 0:
            begin = table.starts[n_terms]
            size = starts[i + 1] - starts[i]
            if n_terms + 1 >= table.starts.size or begin + size > table.text.size:
                return i, n_terms
            table.text[begin : begin + size] = text[starts[i] : starts[i + 1]]
            table.starts[n_terms + 1] = begin + size
            table.slots[slot] = n_terms
            table.hashes[slot] = value
            n_terms += 1
        numbers[i] = table.slots[slot]
    return numbers.size, n_terms


@kernel
def same(text, begin, end, table, term):  # type: ignore[no-untyped-def]
    """Whether ``text[begin:end]`` is the term."""
    start = table.starts[term]
    if table.starts[term + 1] - start != end - begin:
        return False
    equal = True
    for i in range(end - begin):
        equal = equal and text[begin + i] == table.text[start + i]
    return equal


@kernel
def whole_numbers(text, starts, numbers):  # type: ignore[no-untyped-def]
    """The number that each key spells, without zeros before it; -1 where it spells none, or one of too many digits."""
    for i in range(numbers.size):
        size = starts[i + 1] - starts[i]
        number = np.int64(-1)
        if 0 < size <= LONGEST_NUMBER and (size == 1 or text[starts[i]] != 48):
            number = 0
            for p in range(starts[i], starts[i + 1]):
                if text[p] < 48 or text[p] > 57:
                    number = -1
                    break
                number = number * 10 + np.int64(text[p] - 48)
        numbers[i] = number
