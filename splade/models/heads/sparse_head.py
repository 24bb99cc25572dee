"""Term weights as sparse rows: straight from the head, a stretch of the vocabulary at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splade.batches import concatenated, in_places, refuse_no_numbers
from splade.models.heads.fused_head import splade_head
from splade.records import SparseRows

__all__ = ["concatenated", "in_places", "sparse_head", "sparse_rows"]

STRETCH = 8192  # terms of which weights [B, ·] are held at once

Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]  # rows, columns, weights


def sparse_head(
    tokens: Tensor, lengths: Sequence[int], weight: Tensor, bias: Tensor | None, agg: str, activation: str
) -> SparseRows:
    """The weights above zero of `splade.models.heads.fused_head.splade_head`, without a gradient or a [B, V].

    Raises ValueError where a weight is NaN or infinite: such a vector must never reach an index.
    """
    parts: list[Entries] = []
    with torch.no_grad():
        for start in range(0, len(weight), STRETCH):
            terms = slice(start, start + STRETCH)
            own = None if bias is None else bias[terms]
            parts.append(_entries(splade_head(tokens, lengths, weight[terms], own, agg, activation), start))
    return _rows(parts, len(lengths))


def sparse_rows(weights: Tensor) -> SparseRows:
    """The non-zeros of non-negative ``weights`` [N, V], on any device, as CSR rows on the CPU; raises as above."""
    return _rows([_entries(weights, 0)], len(weights))


def _entries(weights: Tensor, first: int) -> Entries:
    """List the non-zeros of ``weights`` [N, v] row by row; the columns are counted from ``first``."""
    if weights.device.type == "cpu":
        dense = weights.float().numpy()
        places = np.flatnonzero(dense != 0)  # several times faster than the nonzero of NumPy or torch
        values = dense.reshape(-1)[places]
    else:
        found = weights.flatten().nonzero().squeeze(1)
        places, values = found.cpu().numpy(), weights.flatten()[found].float().cpu().numpy()
    refuse_no_numbers(values)
    rows, columns = np.divmod(places, max(weights.shape[1], 1))
    return rows, columns + first, values


def _rows(parts: Sequence[Entries], n_rows: int) -> SparseRows:
    """Sparse rows of entries that come with increasing columns."""
    rows, columns, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    if len(parts) > 1:
        order = np.argsort(rows, kind="stable")
        rows, columns, weights = rows[order], columns[order], weights[order]
    offsets = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=offsets[1:])
    return SparseRows(offsets, columns.astype(np.int32), weights)
