"""What turns a logit into a term weight; always in float32.

``log(1 + x)`` computed in half precision loses every weight below the type's resolution at 1, so the
logits are widened first and ``log1p`` is used, whatever type the transformer computed in.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def relu(logits: Tensor) -> Tensor:
    """``max(x, 0)`` in float32."""
    return torch.relu(logits.float())


def log1p_relu(logits: Tensor) -> Tensor:
    """``log(1 + max(x, 0))`` in float32 (SPLADE, arXiv 2107.05720, equation 1)."""
    return torch.log1p(relu(logits))


def log1p_log1p_relu(logits: Tensor) -> Tensor:
    """``log(1 + log(1 + max(x, 0)))`` in float32, the flatter activation of arXiv 2504.14839."""
    return torch.log1p(log1p_relu(logits))


Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "log1p_relu": log1p_relu,
    "log1p_log1p_relu": log1p_log1p_relu,
    "relu": relu,
}
"""Activations by their configured name; each is non-decreasing and maps everything below 0 to 0."""
