"""Terms numbered in the order they come: a hash table of their bytes in flat arrays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel

LONGEST_NUMBER = 18  # digits that int64 holds whatever they are


class TermTable(NamedTuple):
    """Open addressing with room for half as many terms as slots; term t is ``text[starts[t]:starts[t + 1]]``."""

    slots: NDArray[np.uint64]  # [a power of two], upper half of a hash and number + 1 of a term there, or 0
    text: NDArray[np.uint8]
    starts: NDArray[np.int64]  # [slots / 2 + 1]


def new_table(n_slots: int, n_bytes: int) -> TermTable:
    """A table without terms; ``n_slots`` is a power of two."""
    return TermTable(
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
    slots, known, begins = table.slots, table.text, table.starts
    mask, upper = np.uint64(slots.size - 1), np.uint64(0xFFFFFFFF00000000)
    for i in range(first, numbers.size):
        begin, size = starts[i], starts[i + 1] - starts[i]
        value = np.uint64(14695981039346656037)
        for p in range(begin, begin + size):
            value = (value ^ np.uint64(text[p])) * np.uint64(1099511628211)
        slot = (value ^ (value >> np.uint64(32))) & mask
        while True:
            entry = slots[slot]
            term = np.int64(entry & ~upper) - 1
            if term < 0 or ((entry ^ value) & upper == 0 and same(text, begin, size, known, begins, term)):
                break
            slot = (slot + np.uint64(1)) & mask
        if term < 0:
            place = begins[n_terms]
            if n_terms + 1 >= begins.size or place + size > known.size:
                return i, n_terms
            known[place : place + size] = text[begin : begin + size]
            begins[n_terms + 1] = place + size
            term = n_terms
            n_terms += 1
            slots[slot] = (value & upper) | np.uint64(n_terms)
        numbers[i] = term
    return numbers.size, n_terms


@kernel
def same(text, begin, size, known, begins, term):  # type: ignore[no-untyped-def]
    """Whether ``text[begin : begin + size]`` is the term."""
    place = begins[term]
    if begins[term + 1] - place != size:
        return False
    for i in range(size):
        if text[begin + i] != known[place + i]:
            break
    else:
        return True
    return False


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
