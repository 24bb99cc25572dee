"""Varints: whole numbers in as few bytes as they need, seven bits in each, the lowest first.

All but a number's last byte have their eighth bit set. Tags, lengths and whole numbers of Protocol Buffers are varints:
a message without strings is nothing else.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST = 10  # bytes of a number of 64 bits
AT_ONCE = 1 << 18  # bytes that are decoded at a time: what fits into the cache


def varint(number: int) -> bytes:
    """One number, at least 0."""
    octets = bytearray()
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def sizes_of(numbers: ArrayLike) -> NDArray[np.int64]:
    """The number of bytes of each varint; numbers [n] of 64 bits, at least 0."""
    values = np.asarray(numbers).astype(np.uint64)
    sizes = np.ones(values.shape, np.int64)
    largest = int(values.max(initial=0))
    for j in range(1, LONGEST):
        if largest >> (7 * j) == 0:
            break
        sizes += values >= np.uint64(1 << (7 * j))
    return sizes


def encode(numbers: ArrayLike) -> NDArray[np.uint8]:
    """The varints of numbers [n] of 64 bits, at least 0, one after the other."""
    values = np.asarray(numbers).astype(np.uint64)
    sizes = sizes_of(values)
    starts = np.cumsum(sizes) - sizes
    octets = np.empty(int(sizes.sum()), np.uint8)
    place, rest, left = starts, values, sizes
    while place.size:
        more = left > 1
        octets[place] = (rest & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << np.uint8(7))
        place, rest, left = place[more] + 1, rest[more] >> np.uint64(7), left[more] - 1
    return octets


def decode(octets: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The numbers of varints one after the other; ValueError where the last one is cut off, or one is too long."""
    if len(octets) and octets[-1] > 127:
        raise ValueError("the last varint is cut off")
    numbers = np.zeros(int(np.count_nonzero(octets < 128)), np.uint64)
    start = n = 0
    while start < len(octets):
        ends = np.flatnonzero(octets[start : start + AT_ONCE] < 128)
        if not len(ends):
            raise ValueError(f"a varint of over {LONGEST} bytes")
        _decode(octets[start : start + ends[-1] + 1], ends, numbers[n : n + len(ends)])
        start, n = start + int(ends[-1]) + 1, n + len(ends)
    return numbers


def _decode(octets: NDArray[np.uint8], ends: NDArray[np.int64], numbers: NDArray[np.uint64]) -> None:
    """Add the numbers of varints that end at ``ends`` to ``numbers``, which are 0."""
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    longest = int(sizes.max())
    if longest > LONGEST:
        raise ValueError(f"a varint of over {LONGEST} bytes")
    there = np.arange(len(ends))
    for j in range(longest):
        there = there[sizes[there] > j]
        numbers[there] |= (octets[starts[there] + j].astype(np.uint64) & np.uint64(127)) << np.uint64(7 * j)
