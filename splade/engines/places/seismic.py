"""Seismic in Rust, through pyseismic-lsr."""

import numpy as np
import scipy.sparse as sp


def packed(rows: sp.csr_matrix) -> np.ndarray:
    """Its file's rows: how many, the terms, the weights, four bytes each."""
    lengths = np.diff(rows.indptr)
    written = np.empty(rows.shape[0] + 2 * rows.nnz, np.uint32)
    heads = np.arange(rows.shape[0]) + 2 * rows.indptr[:-1].astype(np.int64)
    written[heads] = lengths
    row_of = np.repeat(np.arange(rows.shape[0]), lengths)
    places = heads[row_of] + 1 + np.arange(rows.nnz) - rows.indptr[row_of]
    written[places] = rows.indices
    written[places + lengths[row_of]] = rows.data.astype(np.float32).view(np.uint32)
    return written
