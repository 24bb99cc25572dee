"""Laying postings out in blocks, a chunk of terms at a time: see `splade.kernels.blocks`.

Three passes over the terms of a chunk, whose postings begin at ``offsets`` [terms + 1], from 0:
`sort_by_position`, then `measure`, which says how large the rest is, then `fill`.
"""

import numpy as np

from splade.kernels.blocks import DENSE_SHARE, HEAD_SHARE, LEVELS, SHORT, slot_bits
from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import as_weight, trailing_zeros


@kernel
def sort_by_position(offsets, columns, weights, positions, range_bits, local, impacts, runs):  # type: ignore[no-untyped-def]
    """Write postings in increasing order of their documents' ``positions``, and where runs begin.

    ``weights`` and ``impacts`` have one dtype; ``runs`` is uint32 [terms, n_ranges + 1, 2], zeroed. A
    frequent term's postings are put in order through a set of bits, another's by sorting.
    """
    n_docs, n_ranges = positions.size, runs.shape[1] - 1
    mask = np.uint64((1 << range_bits) - 1)
    table = np.empty(n_docs, impacts.dtype)
    present = np.zeros((n_docs + 63) // 64, np.uint64)
    one, six, half = np.uint64(1), np.uint64(6), np.uint64(32)
    for term in range(offsets.size - 1):
        begin, end = offsets[term], offsets[term + 1]
        run = runs[term]
        at = begin
        if (end - begin) * 32 > n_docs:
            for p in range(begin, end):
                place = np.uint64(positions[columns[p]])
                table[place] = weights[p]
                present[place >> six] |= one << (place & np.uint64(63))
                run[(place >> np.uint64(range_bits)) + one, 0] += 1
            for word in range(present.size):
                bits = present[word]
                while bits != 0:
                    place = (np.uint64(word) << six) + trailing_zeros(bits)
                    local[at] = place & mask
                    impacts[at] = table[place]
                    at += 1
                    bits &= bits - one
                present[word] = 0
        else:
            keys = np.empty(end - begin, np.uint64)
            for p in range(begin, end):
                place = np.uint64(positions[columns[p]])
                keys[p - begin] = (place << half) | np.uint64(p - begin)
                run[(place >> np.uint64(range_bits)) + one, 0] += 1
            keys.sort()
            for key in keys:
                local[at] = (key >> half) & mask
                impacts[at] = weights[begin + np.int64(key & np.uint64(0xFFFFFFFF))]
                at += 1
        for r in range(n_ranges):
            run[r + 1, 0] += run[r, 0]


@kernel
def measure(offsets, range_bits, block_bits, local, impacts, scale, runs, steps, reach):  # type: ignore[no-untyped-def]
    """Write the terms' ``steps`` (float32) and the number of blocks they reach (int64), and number skip tables.

    Returns the length of all skip tables of the chunk.
    """
    used = 0
    shift = np.uint64(block_bits)
    for term in range(offsets.size - 1):
        begin = offsets[term]
        most = np.float32(0)
        blocks = 0
        for r in range(runs.shape[1] - 1):
            start, stop = np.int64(runs[term, r, 0]), np.int64(runs[term, r + 1, 0])
            previous = np.int64(-1)
            for p in range(begin + start, begin + stop):
                most = max(most, as_weight(impacts[p], scale))
                block = np.int64(np.uint64(local[p]) >> shift)
                blocks += block != previous
                previous = block
            if stop - start > SHORT:
                runs[term, r, 1] = used
                used += (1 << slot_bits(stop - start, range_bits - block_bits)) + 1
        steps[term] = step_above(most)
        reach[term] = blocks
    return used


@inner_kernel
def step_above(most):  # type: ignore[no-untyped-def]
    """A step; 255 of them are at least ``most``, as float32 multiplies. Infinite beyond float32."""
    step = np.nextafter(most / np.float32(LEVELS), np.float32(np.inf))
    while step * np.float32(LEVELS) < most:
        step = np.nextafter(step, np.float32(np.inf))
    return step


@inner_kernel
def level(weight, step):  # type: ignore[no-untyped-def]
    """The smallest level that is at least ``weight``, as float32 multiplies."""
    code = min(max(np.int64(np.ceil(weight / step)), 1), LEVELS)
    while code > 1 and np.float32(code - 1) * step >= weight:
        code -= 1
    while np.float32(code) * step < weight:
        code += 1
    return code


@kernel
def is_head(reach, n_blocks):  # type: ignore[no-untyped-def]
    """True where a term that reaches so many blocks gets a row with a bound for every block."""
    return reach * HEAD_SHARE > n_blocks


@kernel
def is_dense(lengths, n_docs):  # type: ignore[no-untyped-def]
    """True where a term with so many postings gets a row with a weight for every document."""
    return (lengths > 0) & (lengths * DENSE_SHARE >= n_docs)


@kernel
def fill_dense(offsets, range_bits, local, impacts, runs, chosen, dense):  # type: ignore[no-untyped-def]
    """Write the weights of the terms that are ``chosen`` (bool) into the rows of ``dense``, zeroed, by position."""
    row = 0
    for term in range(offsets.size - 1):
        if chosen[term]:
            for r in range(runs.shape[1] - 1):
                for p in range(offsets[term] + runs[term, r, 0], offsets[term] + runs[term, r + 1, 0]):
                    dense[row, (r << range_bits) + local[p]] = impacts[p]
            row += 1


@kernel
def fill(  # type: ignore[no-untyped-def]
    offsets, range_bits, block_bits, n_blocks, local, impacts, scale, runs, steps, reach,
    skips, head, tail_blocks, tail_bounds,
):  # fmt: skip
    """Write skip tables and bounds. ``head`` is zeroed; the tail is as long as the reach of its terms."""
    row = at = 0
    for term in range(offsets.size - 1):
        begin = offsets[term]
        step = steps[term]
        in_head = is_head(reach[term], n_blocks)
        for r in range(runs.shape[1] - 1):
            start, stop = np.int64(runs[term, r, 0]), np.int64(runs[term, r + 1, 0])
            if stop - start > SHORT:
                bits = slot_bits(stop - start, range_bits - block_bits)
                run = local[begin + start : begin + stop]
                fill_skips(run, range_bits - bits, skips, runs[term, r, 1], bits)
            p = begin + start
            while p < begin + stop:
                block = np.int64(local[p]) >> block_bits
                peak = np.float32(0)
                while p < begin + stop and np.int64(local[p]) >> block_bits == block:
                    peak = max(peak, as_weight(impacts[p], scale))
                    p += 1
                block += r << (range_bits - block_bits)
                if in_head:
                    head[row, block] = level(peak, step)
                else:
                    tail_blocks[at] = block
                    tail_bounds[at] = level(peak, step)
                    at += 1
        row += in_head


@inner_kernel
def fill_skips(local, shift, skips, table, bits):  # type: ignore[no-untyped-def]
    """Write where each of 2^bits slots of a run begins, and where the last ends."""
    p = 0
    for slot in range(1 << bits):
        while p < local.size and np.int64(local[p]) >> shift < slot:
            p += 1
        skips[np.int64(table) + slot] = p
    skips[np.int64(table) + (1 << bits)] = local.size
