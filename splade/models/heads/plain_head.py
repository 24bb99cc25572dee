"""The head in plain autograd: the slow way, and the gradient that is itself to be differentiated."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splade.models.heads.activations import ACTIVATIONS, widened


def plain_head(
    tokens: Tensor, lengths: Sequence[int], weight: Tensor, bias: Tensor | None, agg: str, activation: str
) -> Tensor:
    """As `splade.models.heads.fused_head.splade_head` in plain autograd, text by text.

    Slower, and differentiable any number of times.
    """
    rows = []
    for states in tokens.split(list(lengths)):
        logits = widened(F.linear(states, weight, bias))  # [length, V]
        if not len(states):
            rows.append(logits.sum(dim=0))
        elif agg == "max":
            rows.append(ACTIVATIONS[activation](logits.max(dim=0).values))
        else:
            rows.append(ACTIVATIONS[activation](logits).sum(dim=0))
    return torch.stack(rows)


def differentiable(
    ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], gradient: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of ``inputs`` by way of :func:`plain_head`, with a graph of their own; None where not needed.

    ``ctx`` has the lengths, the aggregation and the activation of the call.
    """
    tokens, weight, bias = inputs
    weights = plain_head(tokens, ctx.lengths, weight, bias, ctx.agg, ctx.activation)
    asked = [part for part, wanted in zip(inputs, needed, strict=True) if part is not None and wanted]
    found = iter(torch.autograd.grad(weights, asked, gradient, create_graph=True))
    return [next(found) if wanted else None for wanted in needed]
