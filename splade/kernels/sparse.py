"""Making, checking and turning sparse rows.

``SparseRows`` promises columns strictly increasing within a row and weights finite and above 0.
`from_csr` and `from_dense` establish it, `check` enforces it, everything else keeps it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.kernels.compiled import kernel, read_only_rows
from splade.kernels.faults import (
    DISORDERED,
    LARGEST,
    NEGATIVE,
    NOT_FINITE,
    OUT_OF_RANGE,
    ZERO,
    check,
    describe,
    first_faults,
    row_of,
    sound_offsets,
)
from splade.records import SparseBatch, SparseRows


class Matrix(NamedTuple):
    """Sparse rows and what their source knew besides: a width, and ids, or None."""

    rows: SparseRows
    n_columns: int | None
    ids: tuple[str, ...] | None


def from_csr(indptr: ArrayLike, indices: ArrayLike, data: ArrayLike, n_columns: int | None = None) -> SparseRows:
    """Sparse rows from the three arrays of a compressed-row matrix, in any order and dtype.

    Columns are sorted within each row, entries of the same column added up (as SciPy means them),
    zeros dropped. Nothing is copied where the arrays keep the promise already. ValueError where
    the arrays do not fit together, a column is negative or not below ``n_columns``, or a weight is
    negative, infinite, or not a number.
    """
    columns, values = np.asarray(indices), np.asarray(data)
    offsets = sound_offsets(np.asarray(indptr), columns, values)
    limit = LARGEST if n_columns is None else n_columns
    narrow = columns.dtype == np.int32  # others might leave the range when they are made so
    if not narrow and columns.size and not (columns.min() >= 0 and columns.max() < limit):
        place = int(np.argmax((columns < 0) | (columns >= limit)))
        raise ValueError(f"row {row_of(offsets, place)}: columns must be in [0, {limit}), got {columns[place]}")
    if values.dtype != np.float32:
        with np.errstate(over="ignore", under="ignore"):
            values = values.astype(np.float32)
    rows = read_only_rows(SparseRows(offsets, columns.astype(np.int32, copy=False), values))
    first = first_faults(rows, limit)
    fatal = (OUT_OF_RANGE, NOT_FINITE, NEGATIVE)
    if any(first[kind] >= 0 for kind in fatal):
        raise ValueError("row {}: {}".format(*describe(rows, limit, first, fatal)))
    if first[DISORDERED] >= 0 or first[ZERO] >= 0:
        rows = _tidy(rows)
    return rows


def from_matrix(matrix: Any, n_columns: int | None = None) -> Matrix:
    """Sparse rows of ``matrix``: a `SparseBatch`, a `SparseRows`, or a CSR matrix as SciPy's.

    Of the last, only ``indptr``, ``indices``, ``data`` and ``shape`` are used; one of one dimension, as SciPy's
    ``csr_array`` gives a row, is one row. ``n_columns`` is the width asked of a `SparseRows`, which does not know its
    own. ValueError as in `from_csr`, TypeError for anything else.
    """
    if isinstance(matrix, SparseBatch):
        check(matrix.rows, matrix.vocab_size)
        return Matrix(matrix.rows, matrix.vocab_size, tuple(matrix.ids))
    if isinstance(matrix, SparseRows):
        check(matrix, LARGEST if n_columns is None else n_columns)
        return Matrix(matrix, None, None)
    if not all(hasattr(matrix, name) for name in ("indptr", "indices", "data", "shape")):
        raise TypeError(
            f"expected a CSR matrix (indptr, indices, data, shape), SparseRows or SparseBatch, "
            f"got {type(matrix).__name__}{': call .tocsr() first' if hasattr(matrix, 'tocsr') else ''}"
        )
    layout = getattr(matrix, "format", "csr")
    if layout != "csr":
        raise ValueError(f"the matrix must be in CSR layout (one row per text), got {layout!r}: call .tocsr() first")
    *before, width = map(int, matrix.shape)
    n_rows = before[0] if before else 1
    if len(before) > 1 or len(matrix.indptr) != n_rows + 1:
        raise ValueError(
            f"a CSR matrix [N, V] has N + 1 numbers in indptr, got {len(matrix.indptr)} for the shape {matrix.shape}"
        )
    return Matrix(from_csr(matrix.indptr, matrix.indices, matrix.data, width), width, None)


def from_dense(matrix: ArrayLike) -> SparseRows:
    """The non-zero entries of a dense matrix [N, V]; ValueError for negative or non-finite ones."""
    dense = np.asarray(matrix)
    if dense.ndim != 2:
        raise ValueError(f"expected a matrix [N, V], got shape {dense.shape}")
    rows, columns = np.nonzero(dense)
    offsets = np.zeros(len(dense) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(dense)), out=offsets[1:])
    return from_csr(offsets, columns, dense[rows, columns], dense.shape[1])


def to_dense(rows: SparseRows, n_columns: int) -> NDArray[np.float32]:
    """The rows as a dense matrix [N, n_columns]: for dense models' vectors, small collections and tests."""
    dense = np.zeros((len(rows.offsets) - 1, n_columns), np.float32)
    dense[np.repeat(np.arange(len(dense)), np.diff(rows.offsets)), rows.columns] = rows.weights
    return dense


def concatenate(parts: Sequence[SparseRows]) -> SparseRows:
    """All rows of ``parts``, one after the other, as new arrays."""
    starts = np.cumsum([0, *(len(part.columns) for part in parts)], dtype=np.int64)
    offsets = [np.zeros(1, np.int64), *(part.offsets[1:] + start for part, start in zip(parts, starts, strict=False))]
    columns = [np.zeros(0, np.int32), *(part.columns for part in parts)]
    weights = [np.zeros(0, np.float32), *(part.weights for part in parts)]
    return SparseRows(np.concatenate(offsets), np.concatenate(columns), np.concatenate(weights))


def slice_rows(rows: SparseRows, start: int, stop: int) -> SparseRows:
    """Rows ``start`` to ``stop``; views, nothing is copied but the offsets."""
    first, last = rows.offsets[start], rows.offsets[stop]
    return SparseRows(rows.offsets[start : stop + 1] - first, rows.columns[first:last], rows.weights[first:last])


def take_rows(rows: SparseRows, numbers: NDArray[np.integer]) -> SparseRows:
    """The rows with these numbers, in the order given, as new arrays: nothing of ``rows`` is kept alive."""
    lengths = np.diff(rows.offsets)[numbers]
    offsets = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    places = np.arange(offsets[-1]) + np.repeat(rows.offsets[numbers] - offsets[:-1], lengths)
    return SparseRows(offsets, rows.columns[places], rows.weights[places])


def keep_entries(rows: SparseRows, keep: NDArray[np.bool_]) -> SparseRows:
    """The rows with those of their entries alone for which ``keep`` [entries] says so."""
    before = np.concatenate([[0], np.cumsum(keep)])
    return SparseRows(before[rows.offsets], rows.columns[keep], rows.weights[keep])


def transpose(rows: SparseRows, n_columns: int) -> SparseRows:
    """Row c of the result lists the rows that hold column c, in increasing order: the postings.

    Stable: entries of one column keep their order. Assumes columns in [0, n_columns).
    """
    return transpose_parts([rows], n_columns)


def transpose_parts(parts: Sequence[SparseRows], n_columns: int, first: int = 0) -> SparseRows:
    """`transpose` of the parts laid one after the other, without joining them before.

    ``first`` is the number of the first row. Needs 8 bytes per entry besides the parts.
    """
    offsets = np.zeros(n_columns + 1, np.int64)
    parts = [read_only_rows(part) for part in parts]
    for part in parts:
        count_columns(part.columns, offsets[1:])
    np.cumsum(offsets, out=offsets)
    cursors = offsets[:-1].copy()
    columns = np.empty(offsets[-1], np.int32)
    weights = np.empty(offsets[-1], np.float32)
    for part in parts:
        scatter(part, first, cursors, columns, weights)
        first += len(part.offsets) - 1
    return read_only_rows(SparseRows(offsets, columns, weights))


@kernel
def count_columns(columns, counts):  # type: ignore[no-untyped-def]
    """Add to ``counts[c]`` how often c occurs."""
    for p in range(columns.size):
        counts[columns[p]] += 1


@kernel
def scatter(rows, first, cursors, columns, weights):  # type: ignore[no-untyped-def]
    """Append each entry of ``rows`` to the list of its column, whose end ``cursors`` keeps."""
    for r in range(rows.offsets.size - 1):
        for p in range(rows.offsets[r], rows.offsets[r + 1]):
            place = cursors[rows.columns[p]]
            cursors[rows.columns[p]] = place + 1
            columns[place] = first + r
            weights[place] = rows.weights[p]


def _tidy(rows: SparseRows) -> SparseRows:
    """Sort each row (by turning it twice), add up equal columns, drop zeros."""
    n_rows = len(rows.offsets) - 1
    width = int(rows.columns.max()) + 1
    offsets, columns, weights = transpose(transpose(rows, width), n_rows)
    numbers = np.repeat(np.arange(n_rows), np.diff(offsets))
    fresh = np.ones(len(columns), bool)  # the first entry of its (row, column)
    fresh[1:] = (columns[1:] != columns[:-1]) | (numbers[1:] != numbers[:-1])
    with np.errstate(over="ignore"):
        sums = np.add.reduceat(weights, np.flatnonzero(fresh))
    kept = sums > 0
    counts = np.bincount(numbers[fresh][kept], minlength=n_rows)
    tidy = SparseRows(np.concatenate(([0], np.cumsum(counts))), columns[fresh][kept], sums[kept])
    check(tidy, width)  # a sum may overflow
    return read_only_rows(tidy)
