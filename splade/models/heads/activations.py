"""Functions that turn a logit into a term weight, in float32 at least.

In half precision ``log(1 + x)`` loses every weight below the type's resolution at 1. So the logits are widened
first, and ``log1p`` is used. Float64 stays.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def widened(logits: Tensor) -> Tensor:
    """``logits`` in float32, or as they are in float64."""
    return logits if logits.dtype == torch.float64 else logits.float()


def relu(logits: Tensor) -> Tensor:
    """``max(x, 0)``."""
    return torch.relu(widened(logits))


def log1p_relu(logits: Tensor) -> Tensor:
    """``log(1 + max(x, 0))`` (SPLADE, arXiv 2107.05720, equation 1)."""
    return torch.log1p(relu(logits))


def log1p_log1p_relu(logits: Tensor) -> Tensor:
    """``log(1 + log(1 + max(x, 0)))``, the flatter activation of arXiv 2504.14839."""
    return torch.log1p(log1p_relu(logits))


Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {
    "log1p_relu": log1p_relu,
    "log1p_log1p_relu": log1p_log1p_relu,
    "relu": relu,
}
"""Activations by their configured name; each is non-decreasing and maps everything below 0 to 0."""


def _slope_relu(weights: Tensor) -> Tensor:
    return torch.ones_like(weights)


def _slope_log1p_relu(weights: Tensor) -> Tensor:
    return torch.exp(-weights)


def _slope_log1p_log1p_relu(weights: Tensor) -> Tensor:
    return torch.exp(-weights - torch.expm1(weights))


SLOPES: dict[str, Activation] = {
    "log1p_relu": _slope_log1p_relu,
    "log1p_log1p_relu": _slope_log1p_log1p_relu,
    "relu": _slope_relu,
}
"""The derivative of each activation with respect to the logit, from the weight it gave; right where that is above 0."""
