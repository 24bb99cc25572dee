"""Whole-number impacts for engines that index term frequencies, and files of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.vectors import Vectors

IMPACT = 100  # weights times this, rounded down, at least 1


def impacts(weights: NDArray[np.float32]) -> NDArray[np.int32]:
    """Weights as the whole numbers that impact engines index."""
    return np.maximum(np.floor(weights * IMPACT), 1).astype(np.int32)


def write_impacts(path: Path, offsets: NDArray[Any], parts: Any) -> None:
    """Numbers of rows and entries (int64), then offsets, columns and impacts (int32) of ``parts`` of all rows."""
    with path.open("wb") as stream:
        np.array([len(offsets) - 1, offsets[-1]], np.int64).tofile(stream)
        offsets.astype(np.int32).tofile(stream)
        for array in ("indices", "impacts"):
            for rows in parts():
                values = impacts(rows.data) if array == "impacts" else rows.indices
                values.astype(np.int32).tofile(stream)


def write_documents(path: Path, vectors: Vectors) -> None:
    """All documents as `write_impacts` does, some at a time."""
    write_impacts(path, vectors.indptr, lambda: (rows for _, rows in vectors.parts()))


def write_queries(path: Path, queries: sp.csr_matrix) -> None:
    """The same for queries."""
    write_impacts(path, queries.indptr, lambda: [queries])
