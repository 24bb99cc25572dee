"""Linear layers in 8 bits: weights scaled per output, states per token at the moment they come (dynamic)."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 127
TINY = 1e-12  # a token or an output of zeros has this scale


class Int8Linear(nn.Module):
    """``linear`` with 8-bit products, summed in 32 bits; for inference, on processors."""

    weight: Tensor
    scales: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scales = _in_steps(linear.weight.detach())
        self.register_buffer("weight", weight)  # [out, in]
        self.register_buffer("scales", scales.squeeze(1))  # [out]
        self.bias = linear.bias

    def forward(self, states: Tensor) -> Tensor:
        """[..., out] from [..., in], float32."""
        steps, scales = _in_steps(states.flatten(0, -2))
        sums = torch._int_mm(steps, self.weight.t())  # [tokens, out], int32
        products = sums.float().mul_(scales).mul_(self.scales)
        if self.bias is not None:
            products += self.bias
        return products.unflatten(0, states.shape[:-1])


def in_int8(model: nn.Module) -> nn.Module:
    """A copy of ``model`` with every linear layer in 8 bits."""
    copied = deepcopy(model)
    for part in list(copied.modules()):
        for name, child in list(part.named_children()):
            if type(child) is nn.Linear:
                setattr(part, name, Int8Linear(child))
    return copied.eval()


@contextmanager
def through(encoder: Any, backbone: nn.Module | None) -> Iterator[None]:
    """Have ``encoder`` take its hidden states from ``backbone`` inside the block; None: from its own."""
    if encoder is None or backbone is None:
        yield
        return
    former = encoder.backbone
    encoder.backbone = [backbone]  # in a list, it is no part of the module
    try:
        yield
    finally:
        encoder.backbone = former


def _in_steps(values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as whole numbers of steps, int8, and the size of each row's step [rows, 1]."""
    scales = values.abs().amax(dim=1, keepdim=True).div_(LARGEST).clamp_(min=TINY)
    return (values / scales).round_().to(torch.int8), scales
