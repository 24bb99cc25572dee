"""Bound the score that a document of each block could reach for a query."""

import numpy as np

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import larger

LANES = 64  # bounds are looked through so many at a time: a row of the head is padded to a multiple
CHUNK = 4096  # blocks whose sums are gathered at a time, within the first-level cache
OCTAVES = 2 << 23  # bits of bound that are two factors of two
FINENESS = 1 << 14  # bits of bound that are not told apart: 512 steps to a factor of two
LARGEST = np.float32(1e38)  # a query that could score more is not bounded: its sums might overflow
SMALLEST = np.float32(1.2e-38)  # of a unit, so that no product of it loses bits


@inner_kernel
def weigh_levels(blocks, queries, begin, end, share, units):  # type: ignore[no-untyped-def]
    """Write what a level of each query term's bounds is worth to the query; False if sums may overflow.

    Each is rounded up so far that a float32 sum of levels times units, in any order, is never below
    a float32 sum of query weight times document weight; then multiplied by ``share``.
    """
    n_terms = end - begin
    slack = 1.0 + (2 * n_terms + 8) * 2.0**-24
    total = 0.0
    for i in range(n_terms):
        unit = np.float64(queries.weights[begin + i]) * np.float64(blocks.steps[queries.columns[begin + i]]) * slack
        total += unit * 255
        units[i] = max(np.float32(min(unit, 1e38) * share), SMALLEST)
    return total < LARGEST


@inner_kernel
def sum_bounds(blocks, queries, begin, end, units, rows, values, bounds):  # type: ignore[no-untyped-def]
    """Write the bound of every block, float32 [stride]; 0 exactly where the query has no posting.

    ``rows`` and ``values`` are scratch, int64 and float32, as long as the query.
    """
    n_head = 0
    for i in range(end - begin):
        row = blocks.head_rows[queries.columns[begin + i]]
        if row >= 0:
            rows[n_head] = row
            values[n_head] = units[i]
            n_head += 1
    for start in range(0, bounds.size, CHUNK):
        add_rows(blocks.head, rows[:n_head], values, start, bounds[start : min(start + CHUNK, bounds.size)])
    for i in range(end - begin):
        term = queries.columns[begin + i]
        if blocks.head_rows[term] < 0:
            unit = units[i]
            for p in range(blocks.tail_offsets[term], blocks.tail_offsets[term + 1]):
                block = np.uint64(blocks.tail_blocks[np.uint64(p)])
                bounds[block] += unit * np.float32(blocks.tail_bounds[np.uint64(p)])


@kernel
def add_rows(head, rows, values, start, bounds):  # type: ignore[no-untyped-def]
    """Write the weighted sum of rows of the head into ``bounds``, from block ``start`` on; four rows a pass."""
    bounds[:] = 0
    i = 0
    while i + 3 < rows.size:
        a, b = head[rows[i], start:], head[rows[i + 1], start:]
        c, d = head[rows[i + 2], start:], head[rows[i + 3], start:]
        x, y, z, w = values[i], values[i + 1], values[i + 2], values[i + 3]
        for j in range(bounds.size):
            bounds[j] += (x * np.float32(a[j]) + y * np.float32(b[j])) + (z * np.float32(c[j]) + w * np.float32(d[j]))
        i += 4
    while i < rows.size:
        a, x = head[rows[i], start:], values[i]
        for j in range(bounds.size):
            bounds[j] += x * np.float32(a[j])
        i += 1


@kernel
def find_peaks(bounds, peaks):  # type: ignore[no-untyped-def]
    """Write the highest of each LANES bound bits; returns the highest of all."""
    top = np.uint32(0)
    for g in range(bounds.size // LANES):
        peak = np.uint32(0)
        for i in range(g * LANES, min((g + 1) * LANES, bounds.size)):  # a length that is known would be unrolled
            peak = larger(peak, bounds[np.uint64(i)])
        peaks[g] = peak
        top = larger(top, peak)
    return top


@kernel
def count_between(bounds, peaks, least, upper):  # type: ignore[no-untyped-def]
    """Count the blocks that have bound bits in [least, upper)."""
    found = np.int64(0)
    low, high = np.uint32(least), np.uint32(upper - np.uint64(1))
    for g in range(bounds.size // LANES):
        if peaks[np.uint64(g)] >= low:
            inside = np.uint32(0)
            for i in range(g * LANES, (g + 1) * LANES):
                inside += np.uint32((bounds[np.uint64(i)] >= low) & (bounds[np.uint64(i)] <= high))
            found += np.int64(inside)
    return found


@inner_kernel
def find_level(bounds, peaks, least, upper, wanted):  # type: ignore[no-untyped-def]
    """The lowest bits of bound of the next ``wanted`` blocks, up to twice as many; and how many they are.

    More where so many are alike, fewer where no more are in [least, upper).
    """
    high = upper
    low = max(np.uint64(least), upper - min(upper, np.uint64(OCTAVES)))
    n = count_between(bounds, peaks, low, upper)
    if n < wanted and low > least:
        low = np.uint64(least)
        n = count_between(bounds, peaks, low, upper)
    while n > 2 * wanted and high - low > FINENESS:
        middle = (low + high) // np.uint64(2)
        above = count_between(bounds, peaks, middle, upper)
        if above < wanted:
            high = middle
        else:
            low, n = middle, above
    return np.uint32(low), n


@inner_kernel
def collect(bounds, peaks, lower, upper, visits, keys):  # type: ignore[no-untyped-def]
    """Write the blocks with bound bits in [lower, upper) in descending order; returns how many."""
    n = 0
    for g in range(bounds.size // LANES):
        if peaks[g] >= lower:
            for i in range(g * LANES, (g + 1) * LANES):
                if lower <= bounds[i] < upper:
                    keys[n] = (np.uint64(bounds[i]) << np.uint64(32)) | np.uint64(i)
                    n += 1
    keys[:n].sort()
    for i in range(n):
        visits[i] = np.int64(keys[n - 1 - i] & np.uint64(0xFFFFFFFF))
    return n
