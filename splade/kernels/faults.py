"""Finding what breaks the promise of sparse rows, and saying it in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel, read_only_rows
from splade.records import SparseRows

LARGEST = int(np.iinfo(np.int32).max)
OUT_OF_RANGE, DISORDERED, NOT_FINITE, NEGATIVE, ZERO = range(5)


class Fault(NamedTuple):
    """The first row that breaks the promise of ``SparseRows``, and how, in words."""

    row: int
    problem: str


def find_fault(rows: SparseRows, n_columns: int) -> Fault | None:
    """The first row that breaks the promise of `SparseRows` or leaves [0, n_columns), or None.

    ValueError where the three arrays do not even fit together.
    """
    expected = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.float32))
    found = (rows.offsets.dtype, rows.columns.dtype, rows.weights.dtype)
    if found != expected:
        raise ValueError(f"offsets, columns and weights must be {expected}, got {found}")
    sound_offsets(*rows)
    first = first_faults(read_only_rows(rows), n_columns)
    return describe(rows, n_columns, first, range(5)) if (first >= 0).any() else None


def check(rows: SparseRows, n_columns: int) -> None:
    """ValueError that names the first row that breaks the promise of `SparseRows`, if any does."""
    fault = find_fault(rows, n_columns)
    if fault:
        raise ValueError(f"row {fault.row}: {fault.problem}")


def sound_offsets(offsets: NDArray[Any], columns: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.int64]:
    """The offsets as int64, or ValueError where they do not cut columns and weights into rows."""
    if offsets.ndim != 1 or columns.ndim != 1 or columns.shape != weights.shape or len(offsets) == 0:
        raise ValueError(
            f"offsets, columns and weights must be flat, the last two of one length: "
            f"got shapes {offsets.shape}, {columns.shape}, {weights.shape}"
        )
    if (columns.size and columns.dtype.kind not in "iu") or weights.dtype.kind not in "fiu":
        raise ValueError(f"columns must be integers and weights real, got {columns.dtype} and {weights.dtype}")
    whole = offsets.astype(np.int64, copy=False)
    if whole[0] != 0 or whole[-1] != len(columns) or (whole[1:] < whole[:-1]).any():
        raise ValueError(
            f"offsets must rise from 0 to the number of entries, {len(columns)}; they go from {whole[0]} to {whole[-1]}"
        )
    return whole


def describe(rows: SparseRows, n_columns: int, first: NDArray[np.int64], kinds: Sequence[int]) -> Fault:
    """The earliest of the found faults of these kinds; at least one was found."""
    position, kind = min((int(first[kind]), kind) for kind in kinds if first[kind] >= 0)
    column, weight = int(rows.columns[position]), float(rows.weights[position])
    words = {
        OUT_OF_RANGE: f"columns must be in [0, {n_columns}), got {column}",
        DISORDERED: f"columns must increase, but {column} does not follow a smaller one",
        NOT_FINITE: f"column {column} has weight {weight}: weights must be finite",
        NEGATIVE: f"column {column} has weight {weight}: weights must be above 0",
        ZERO: f"column {column} has weight 0: zeros are not stored",
    }
    return Fault(row_of(rows.offsets, position), words[kind])


def row_of(offsets: NDArray[np.int64], position: int) -> int:
    """The row that owns the entry at ``position``."""
    return int(np.searchsorted(offsets, position, side="right")) - 1


@kernel
def first_faults(rows, n_columns):  # type: ignore[no-untyped-def]
    """Position of the first entry with each kind of fault, or -1; int64 [5]. Assumes sound offsets."""
    first = np.full(5, -1, np.int64)
    for r in range(rows.offsets.size - 1):
        previous = np.int64(-1)
        for p in range(rows.offsets[r], rows.offsets[r + 1]):
            column = np.int64(rows.columns[p])
            weight = rows.weights[p]
            if (column < 0 or column >= n_columns) and first[OUT_OF_RANGE] < 0:
                first[OUT_OF_RANGE] = p
            if column <= previous and first[DISORDERED] < 0:
                first[DISORDERED] = p
            if not np.isfinite(weight) and first[NOT_FINITE] < 0:
                first[NOT_FINITE] = p
            if weight < 0 and first[NEGATIVE] < 0:
                first[NEGATIVE] = p
            if weight == 0 and first[ZERO] < 0:
                first[ZERO] = p
            previous = column
    return first
