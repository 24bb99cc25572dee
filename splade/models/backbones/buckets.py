"""Group texts to be computed together, so that little padding is computed."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splade.batches import BUDGETS, NO_LIMIT, Budget, budget_for, length_buckets, packed_buckets

__all__ = ["BUDGETS", "NO_LIMIT", "Budget", "budget_for", "length_buckets", "of_rows", "packed_buckets", "widths_of"]


def of_rows(rows: NDArray[np.int64], width: int, *parts: Tensor) -> list[Tensor]:
    """These rows of [B, L] tensors, as many columns of them."""
    return [part[torch.from_numpy(rows).to(part.device), :width] for part in parts]


def widths_of(attended: Tensor) -> Tensor:
    """Count the columns that each row of a mask [B, L] needs, up to its last true position; on the CPU."""
    positions = torch.arange(1, attended.shape[1] + 1, device=attended.device)
    return (attended.bool() * positions).amax(dim=1).cpu()
