"""Vectors read back from the layout that is searched."""

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import Blocks
from splade.kernels.compiled import kernel, read_only, read_only_rows
from splade.kernels.intrinsics import as_weight
from splade.kernels.sparse import concatenate, take_rows
from splade.records import SparseRows


def postings_of(blocks: Blocks, first: int, last: int, numbers: NDArray[np.int32]) -> SparseRows:
    """The postings of the terms ``first`` to ``last``, documents in increasing order of their ``numbers``.

    ``numbers`` int32 [n_docs] are the documents' new numbers; documents with -1 are left out.
    Weights are float32, as searched.
    """
    size = int(blocks.offsets[last] - blocks.offsets[first])
    offsets = np.zeros(last - first + 1, np.int64)
    columns, weights = np.empty(size, np.int32), np.empty(size, np.float32)
    n = restore_terms(blocks, first, last, read_only(numbers), offsets, columns, weights)
    return read_only_rows(SparseRows(offsets, columns[:n], weights[:n]))


def rows_of_range(blocks: Blocks, r: int) -> tuple[NDArray[np.uint32], SparseRows]:
    """The documents of range ``r`` by position, and their vectors as rows of terms."""
    first = r << int(blocks.range_bits)
    docs = blocks.order[first : first + (1 << int(blocks.range_bits))]
    offsets = np.zeros(len(docs) + 1, np.int64)
    count_range(blocks, r, offsets[1:])
    np.cumsum(offsets, out=offsets)
    terms, weights = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    scatter_range(blocks, r, offsets[:-1].copy(), terms, weights)
    return docs, read_only_rows(SparseRows(offsets, terms, weights))


def vectors_of(blocks: Blocks, docs: NDArray[np.int64]) -> SparseRows:
    """The vectors of documents, a row of terms each, in the order given; reads whole ranges."""
    positions = np.empty(len(blocks.order), np.int64)
    positions[blocks.order] = np.arange(len(blocks.order))
    wanted = positions[docs]
    ranges = wanted >> int(blocks.range_bits)
    order = np.argsort(wanted, kind="stable")
    parts = []
    for r in np.unique(ranges).tolist():
        _, rows = rows_of_range(blocks, r)
        parts.append(take_rows(rows, wanted[order][ranges[order] == r] - (r << int(blocks.range_bits))))
    return take_rows(concatenate(parts), np.argsort(order))


def weights_at(blocks: Blocks, terms: NDArray[np.int32], doc: int) -> NDArray[np.float32]:
    """The weights [T] that a document has for ``terms`` [T], as searched; 0 for a term that it has not.

    Reads the terms' postings in one range alone, and by halving. Assumes terms and a document that are there.
    """
    weights = np.empty(len(terms), np.float32)
    find_weights(blocks, terms, int(np.flatnonzero(blocks.order == doc)[0]), weights)
    return weights


def lengths_of(blocks: Blocks) -> NDArray[np.int64]:
    """The number of postings of each document."""
    by_position = np.zeros(int(blocks.n_ranges) << int(blocks.range_bits), np.int64)
    for r in range(int(blocks.n_ranges)):
        count_range(blocks, r, by_position[r << int(blocks.range_bits) :])
    lengths = np.empty(len(blocks.order), np.int64)
    lengths[blocks.order] = by_position[: len(lengths)]
    return lengths


@kernel
def find_weights(blocks, terms, position, weights):  # type: ignore[no-untyped-def]
    """Write the weight of each term at a position, 0 where it has no posting there."""
    r = position >> blocks.range_bits
    wanted = position - (r << blocks.range_bits)
    width = blocks.n_ranges + 1
    for i in range(terms.size):
        entry = 2 * (np.int64(terms[i]) * width + r)
        origin = blocks.offsets[terms[i]]
        low = origin + np.int64(blocks.runs[entry])
        last = high = origin + np.int64(blocks.runs[entry + 2])
        while low < high:
            middle = (low + high) // 2
            if np.int64(blocks.local[middle]) < wanted:
                low = middle + 1
            else:
                high = middle
        there = low < last and np.int64(blocks.local[low]) == wanted
        weights[i] = as_weight(blocks.impacts[low], blocks.scale) if there else np.float32(0)


@kernel
def restore_terms(blocks, first, last, numbers, offsets, columns, weights):  # type: ignore[no-untyped-def]
    """Write the postings and their ``offsets`` of the terms; returns how many there are."""
    at = 0
    half = np.uint64(32)
    width = blocks.n_ranges + 1
    for term in range(first, last):
        origin = blocks.offsets[term]
        keys = np.empty(blocks.offsets[term + 1] - origin, np.uint64)
        values = np.empty(keys.size, np.float32)
        n = 0
        sorted_already = True
        for r in range(blocks.n_ranges):
            entry = 2 * (np.int64(term) * width + r)
            for p in range(origin + blocks.runs[entry], origin + blocks.runs[entry + 2]):
                number = numbers[blocks.order[(r << blocks.range_bits) + np.int64(blocks.local[p])]]
                if number >= 0:
                    keys[n] = (np.uint64(number) << half) | np.uint64(n)
                    values[n] = as_weight(blocks.impacts[p], blocks.scale)
                    sorted_already &= n == 0 or keys[n] > keys[n - 1]
                    n += 1
        if not sorted_already:
            keys[:n].sort()
        for key in keys[:n]:
            columns[at] = np.int32(key >> half)
            weights[at] = values[key & np.uint64(0xFFFFFFFF)]
            at += 1
        offsets[term - first + 1] = at
    return at


@kernel
def count_range(blocks, r, counts):  # type: ignore[no-untyped-def]
    """Add up how many postings each position of range ``r`` has."""
    width = blocks.n_ranges + 1
    for term in range(blocks.offsets.size - 1):
        entry = 2 * (np.int64(term) * width + r)
        origin = blocks.offsets[term]
        for p in range(origin + blocks.runs[entry], origin + blocks.runs[entry + 2]):
            counts[blocks.local[p]] += 1


@kernel
def scatter_range(blocks, r, cursors, terms, weights):  # type: ignore[no-untyped-def]
    """Append each posting of range ``r`` to the row of its position, whose end ``cursors`` keeps."""
    width = blocks.n_ranges + 1
    for term in range(blocks.offsets.size - 1):
        entry = 2 * (np.int64(term) * width + r)
        origin = blocks.offsets[term]
        for p in range(origin + blocks.runs[entry], origin + blocks.runs[entry + 2]):
            place = cursors[blocks.local[p]]
            terms[place] = term
            weights[place] = as_weight(blocks.impacts[p], blocks.scale)
            cursors[blocks.local[p]] = place + 1
