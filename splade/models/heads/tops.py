"""The largest weights of each vector."""

import torch
from torch import Tensor

from splade.batches import largest_entries

__all__ = ["keep_largest", "largest_entries"]


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
