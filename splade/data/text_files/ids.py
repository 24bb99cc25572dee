"""External ids as sorted 64-bit hashes: 16 bytes an id instead of a Python string in a dict.

A hash only proposes; wherever two texts share one, the ids themselves are read back and compared.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

BASIS, PRIME = 0xCBF29CE484222325, 0x100000001B3  # of FNV-1a


def hash_spans(buffer: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A 64-bit hash (FNV-1a, then mixed) of each span ``buffer[start : start + length]``."""
    hashes = np.full(starts.size, BASIS, np.uint64)
    prime = np.uint64(PRIME)
    rows = np.arange(starts.size)
    for position in range(int(lengths.max(initial=0))):
        # Spans that have ended drop out, so one long id does not cost the others anything.
        rows = rows[lengths[rows] > position]
        hashes[rows] = (hashes[rows] ^ buffer[starts[rows] + position]) * prime
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(0x9E3779B97F4A7C15)
    return hashes ^ (hashes >> np.uint64(29))


def hash_ids(ids: Sequence[str]) -> NDArray[np.uint64]:
    """The hashes of string ids: those of ``hash_spans`` over their UTF-8 bytes."""
    encoded = [id.encode("utf-8", "surrogatepass") for id in ids]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    starts = np.cumsum(lengths) - lengths
    return hash_spans(np.frombuffer(b"".join(encoded), np.uint8), starts, lengths)


class IdTable:
    """Finds the number of an id among ``n`` of them. Memory: 12 bytes an id (16 from 2³² ids on)."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._numbers = order.astype(np.uint32) if hashes.size < 2**32 else order

    def __len__(self) -> int:
        return self._hashes.size

    def repeated(self) -> NDArray[np.uint64]:
        """The hashes that more than one id has: repeated ids, or a collision."""
        return np.unique(self._hashes[1:][self._hashes[1:] == self._hashes[:-1]])

    def find(self, ids: Sequence[str], id_at: Callable[[int], str]) -> NDArray[np.int64]:
        """The number of each id, or −1 where it is unknown.

        ``id_at`` reads an id back and is asked only where ids of the table share a hash. So a known id
        is always found right; an unknown one is mistaken for a known one with probability n/2⁶⁴, which
        whoever reads the text finds out by comparing the id.
        """
        hashes = hash_ids(ids)
        first = np.searchsorted(self._hashes, hashes, "left")
        last = np.searchsorted(self._hashes, hashes, "right")
        numbers = np.full(hashes.size, -1, np.int64)
        single = last - first == 1
        numbers[single] = self._numbers[first[single]]
        for i in np.flatnonzero(last - first > 1).tolist():
            candidates = self._numbers[first[i] : last[i]]
            numbers[i] = next((int(number) for number in candidates if id_at(int(number)) == ids[i]), -1)
        return numbers


class SeenHashes:
    """The hashes met so far in a stream, as a few sorted runs: 8 bytes each, doubled while runs merge."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Remember ``hashes``; returns those met before, in an earlier call or within this one."""
        batch = np.sort(hashes)
        met = [batch[1:][batch[1:] == batch[:-1]]]
        for run in self._runs:
            slots = np.minimum(np.searchsorted(run, batch), run.size - 1)
            met.append(batch[run[slots] == batch])
        if batch.size:
            self._runs.append(batch)
        while len(self._runs) > 1 and self._runs[-2].size <= 2 * self._runs[-1].size:
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")
        return np.unique(np.concatenate(met))
