"""The head on CUDA devices, as one operator of torch with a gradient.

:mod:`splade.models.heads.triton_head` or :mod:`splade.models.heads.torch_head` pools; weights and places are kept, no
logits.
Backward: weighted sums of rows, for active terms alone, in float32 whatever the products are taken in.
``splade::pool_tokens`` has a fake implementation, so that ``torch.compile`` keeps one graph.
"""

# ruff: noqa: ARG001 # fake implementations take what their operators take

from typing import Any

import torch
from torch import Tensor

from splade.models.backbones import gpu
from splade.models.backbones.packed import Packed
from splade.models.heads import max_pooling, sum_pooling, torch_head
from splade.models.heads.plain_head import differentiable


@torch.library.custom_op("splade::pool_tokens", mutates_args=())
def pool_tokens(
    tokens: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    lengths: list[int],
    agg: str,
    activation: str,
    dtype: torch.dtype,
    way: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Term weights [B, V], and for "max" the place of each maximum in its text [B, V]; see `splade_head`.

    Products are taken in ``dtype``, which the matrix and its gradient need not have. ``way`` is "torch", or a key of
    :data:`splade.models.heads.triton_head.TILES`; None: as :func:`splade.models.backbones.gpu.way_on` says.
    """
    packed = Packed(tokens, tuple(lengths), weight, bias, dtype)
    way = way or gpu.way_on(tokens.device, dtype)
    with torch.autocast(tokens.device.type, enabled=False):
        if way == "torch":
            pooled, places = torch_head.pool(packed, agg, activation)
        else:
            from splade.models.heads import triton_head  # only here: processors need no Triton

            pooled, places = triton_head.pool(packed, agg, activation, way)
    if 0 in lengths:
        pooled[torch.tensor(lengths, device=pooled.device) == 0] = 0
    return pooled, places


@pool_tokens.register_fake
def _(
    tokens: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    lengths: list[int],
    agg: str,
    activation: str,
    dtype: torch.dtype,
    way: str | None = None,
) -> tuple[Tensor, Tensor]:
    packed = Packed(tokens, tuple(lengths), weight, bias, dtype)
    pooled = tokens.new_empty(len(lengths), weight.shape[0], dtype=packed.wide)
    return pooled, tokens.new_empty(pooled.shape if agg == "max" else (0, 0), dtype=packed.place_dtype)


@torch.library.custom_op("splade::pool_tokens_backward", mutates_args=())
def pool_tokens_backward(
    gradient: Tensor,
    tokens: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    pooled: Tensor,
    places: Tensor,
    lengths: list[int],
    agg: str,
    activation: str,
    dtype: torch.dtype,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of tokens, weight and bias, each in its type, from that of the weights [B, V].

    Those that are not ``needed`` are empty.
    """
    packed = Packed(tokens, tuple(lengths), weight, bias, dtype)
    asked = needed[0], needed[1], needed[2]
    with torch.autocast(tokens.device.type, enabled=False):
        if agg == "max":
            found = max_pooling.backward(packed, activation, pooled, places, gradient, asked, complete=True)
        else:
            found = sum_pooling.backward(packed, activation, pooled, None, gradient, asked)
    of_tokens, of_weight, of_bias = (
        gradient.new_empty(0) if part is None or given is None else part.to(given.dtype)
        for part, given in zip(found, (tokens, weight, bias), strict=True)
    )
    return of_tokens, of_weight, of_bias


@pool_tokens_backward.register_fake
def _(
    gradient: Tensor,
    tokens: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    pooled: Tensor,
    places: Tensor,
    lengths: list[int],
    agg: str,
    activation: str,
    dtype: torch.dtype,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    of_tokens, of_weight, of_bias = (
        torch.empty_like(given) if given is not None and wanted else gradient.new_empty(0)
        for given, wanted in zip((tokens, weight, bias), needed, strict=True)
    )
    return of_tokens, of_weight, of_bias


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    tokens, weight, bias, ctx.lengths, ctx.agg, ctx.activation, ctx.dtype, _ = inputs
    ctx.save_for_backward(tokens, weight, bias, *output)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    tokens, weight, bias, pooled, places = ctx.saved_tensors
    needed = [bool(wanted) for wanted in ctx.needs_input_grad[:3]]
    if torch.is_grad_enabled():  # the gradient will be differentiated
        with torch.autocast(tokens.device.type, ctx.dtype, enabled=ctx.dtype != weight.dtype):
            found = differentiable(ctx, (tokens, weight, bias), gradient, needed)
        return (*found, *[None] * 5)
    parts = pool_tokens_backward(
        gradient.contiguous(),
        *(tokens, weight, bias, pooled, places, ctx.lengths, ctx.agg, ctx.activation, ctx.dtype, needed),
    )
    return (*(part if wanted else None for part, wanted in zip(parts, needed, strict=True)), *[None] * 5)


pool_tokens.register_autograd(_backward, setup_context=_keep)
