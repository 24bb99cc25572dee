"""The head as one operation: packed hidden states in, term weights [B, V] out, no logits kept for the gradient.

Forward: one product per block of vocabulary into a reused buffer, pooled at once; bias and activation on [B, V]
in float32. Backward: :mod:`splade.models.heads.max_pooling` and :mod:`splade.models.heads.sum_pooling`. A gradient that
is itself to be differentiated is taken through plain autograd instead. On CUDA devices it is the operator of
:mod:`splade.models.heads.cuda_head`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from splade.models.backbones.packed import Packed
from splade.models.heads import max_pooling, sum_pooling
from splade.models.heads.plain_head import differentiable

DEVICES = ("cpu", "cuda")
"""Where this operation is the fast way."""


class Pooling(NamedTuple):
    """The forward and the backward of one aggregation over packed texts."""

    forward: Callable[..., tuple[Tensor, Tensor | None]]
    backward: Callable[..., max_pooling.Gradients]


POOLINGS = {
    "max": Pooling(max_pooling.forward, max_pooling.backward),
    "sum": Pooling(sum_pooling.forward, sum_pooling.backward),
}


def is_fast_on(device: torch.device) -> bool:
    """True where :func:`splade_head` is the fast way on ``device``."""
    return device.type in DEVICES


def splade_head(
    tokens: Tensor, lengths: Sequence[int], weight: Tensor, bias: Tensor | None, agg: str, activation: str
) -> Tensor:
    """Term weights [B, V], ≥ 0, of B texts whose hidden states stand one after the other in ``tokens`` [T, D].

    Text i has ``lengths[i]`` tokens; one without any gets the zero vector. ``weight`` [V, D] and ``bias`` [V]
    make logits; ``agg`` is "max" or "sum", ``activation`` a key of
    :data:`splade.models.heads.activations.ACTIVATIONS`. Float32, or float64 where ``weight`` is. Under autocast the
    products are taken in its type. Of equal logits the first token receives the gradient.

    Raises ValueError where lengths do not add up to T.
    """
    if sum(lengths) != len(tokens):
        raise ValueError(f"lengths add up to {sum(lengths)}, but there are {len(tokens)} tokens")
    if tokens.is_cuda:
        # Only here: it registers operators, which processors need not.
        from splade.models.heads.cuda_head import pool_tokens

        dtype = _product_dtype(tokens, weight)
        pooled: Tensor = pool_tokens(tokens, weight, bias, list(lengths), agg, activation, dtype)[0]
        return pooled
    learns = torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in (tokens, weight, bias))
    weights: Tensor = SpladeHead.apply(tokens, weight, bias, tuple(lengths), agg, activation, learns)
    return weights


def _product_dtype(tokens: Tensor, weight: Tensor) -> torch.dtype:
    """The type to multiply in: autocast's, where it is on."""
    device = tokens.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


class SpladeHead(torch.autograd.Function):
    """See :func:`splade_head`, which is the way to call it."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any,
        tokens: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        lengths: tuple[int, ...],
        agg: str,
        activation: str,
        learns: bool,
    ) -> Tensor:
        dtype = _product_dtype(tokens, weight)
        packed = Packed(tokens, lengths, weight, bias, dtype)
        with torch.autocast(tokens.device.type, enabled=False):
            weights, positions = POOLINGS[agg].forward(packed, activation, learns)
        if learns:
            ctx.save_for_backward(tokens, weight, bias, weights, positions)
            ctx.lengths, ctx.agg, ctx.activation, ctx.dtype = lengths, agg, activation, dtype
        return weights

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, weight, bias, weights, positions = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # the gradient will be differentiated
            found: Sequence[Tensor | None] = differentiable(ctx, (tokens, weight, bias), gradient, needed)
        else:
            packed = Packed(tokens, ctx.lengths, weight, bias, ctx.dtype)
            with torch.autocast(tokens.device.type, enabled=False):
                found = POOLINGS[ctx.agg].backward(packed, ctx.activation, weights, positions, gradient, needed)
        typed = [
            None if part is None else part.to(given.dtype)
            for part, given in zip(found, (tokens, weight, bias), strict=True)
        ]
        return (*typed, None, None, None, None)
