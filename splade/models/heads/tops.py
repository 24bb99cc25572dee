"""The largest weights of each vector."""

import numpy as np
import torch
from torch import Tensor

from splade.records import SparseRows


def keep_largest(weights: Tensor, k: int) -> Tensor:
    """``weights`` [B, V] with all but the ``k`` largest of each row set to 0 (all kept where ``k`` ≤ 0).

    Of equal weights the lower term ids stay.
    """
    if k <= 0 or k >= weights.shape[1]:
        return weights
    with torch.no_grad():
        least = weights.topk(k, dim=1).values[:, -1:]  # [B, 1]
        above = weights > least
        tied = weights == least
        room = k - above.sum(dim=1, keepdim=True)
        kept = above | (tied & (tied.cumsum(dim=1) <= room))
    return weights * kept


def largest_entries(rows: SparseRows, k: int) -> SparseRows:
    """As :func:`keep_largest`, of sparse rows."""
    if k <= 0:
        return rows
    texts = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    order = np.lexsort((rows.columns, -rows.weights, texts))  # row by row, heaviest first
    kept = np.empty(len(texts), np.bool_)
    kept[order] = np.arange(len(texts)) - rows.offsets[texts] < k  # rows have the same places in this order
    offsets = np.concatenate([rows.offsets[:1], np.cumsum(np.minimum(np.diff(rows.offsets), k))])
    return SparseRows(offsets, rows.columns[kept], rows.weights[kept])
