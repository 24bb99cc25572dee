"""The head on GPUs: a Triton kernel that multiplies, pools and forgets, as one operator of torch.

A program of the kernel holds one text and one block of the vocabulary. It walks the text's tokens, multiplies a tile
of them with the block, accumulating in float32, and keeps in registers the running maximum and where it was, or the
running sum of activated logits. No logit is ever written to memory. Backward: weighted sums of rows, for active terms
alone. ``splade::pool_tokens`` has a fake implementation and a gradient, so that ``torch.compile`` keeps one graph.
"""

# ruff: noqa: ARG001 # fake implementations take what their operators take

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from splade.models import max_pooling, sum_pooling
from splade.models.activations import ACTIVATIONS
from splade.models.packed import Packed

TOKENS, TERMS, DIMENSIONS = 64, 128, 64  # of one tile
LOGS = {"relu": 0, "log1p_relu": 1, "log1p_log1p_relu": 2}


@triton.jit
def _pool(  # type: ignore[no-untyped-def]
    tokens,  # [T, D]
    weight,  # [V, D]
    bias,  # [V]
    starts,  # [B + 1]
    pooled,  # [B, V], written: maxima without bias, or sums
    places,  # [B, V], written: the token of each maximum
    n_terms,
    width,
    sums: tl.constexpr,
    has_bias: tl.constexpr,
    logs: tl.constexpr,
    precision: tl.constexpr,
    n_tile_tokens: tl.constexpr,
    n_tile_terms: tl.constexpr,
    n_tile_dims: tl.constexpr,
):
    text = tl.program_id(1).to(tl.int64)
    first, last = tl.load(starts + text), tl.load(starts + text + 1)
    terms = tl.program_id(0).to(tl.int64) * n_tile_terms + tl.arange(0, n_tile_terms)
    known = terms < n_terms
    best = tl.full([n_tile_terms], float("-inf"), tl.float32)
    total = tl.zeros([n_tile_terms], tl.float32)
    place = tl.zeros([n_tile_terms], tl.int64)
    offset = total
    if has_bias:
        offset = tl.load(bias + terms, mask=known, other=0.0).to(tl.float32)
    for start in range(first, last, n_tile_tokens):
        rows = start + tl.arange(0, n_tile_tokens)
        inside = rows < last
        logits = tl.zeros([n_tile_tokens, n_tile_terms], tl.float32)
        for dimension in range(0, width, n_tile_dims):
            dims = dimension + tl.arange(0, n_tile_dims)
            held = dims < width
            states = tl.load(
                tokens + rows[:, None] * width + dims[None, :], mask=inside[:, None] & held[None, :], other=0.0
            )
            matrix = tl.load(
                weight + terms[None, :] * width + dims[:, None], mask=known[None, :] & held[:, None], other=0.0
            )
            logits = tl.dot(states, matrix, logits, input_precision=precision)
        if sums:
            active = tl.maximum(logits + offset[None, :], 0.0)
            for _ in tl.static_range(logs):  # log(1 + x), exact for small x too
                grown = 1.0 + active
                rest = tl.where(grown == 1.0, 1.0, grown - 1.0)
                active = tl.where(grown == 1.0, active, tl.log(grown) * (active / rest))
            total += tl.sum(tl.where(inside[:, None], active, 0.0), axis=0)
        else:
            strongest, at = tl.max(tl.where(inside[:, None], logits, float("-inf")), axis=0, return_indices=True)
            better = strongest > best  # of equal logits the first token stays
            place = tl.where(better, start + at, place)
            best = tl.where(better, strongest, best)
    cells = text * n_terms + terms
    tl.store(pooled + cells, total if sums else best, mask=known)
    if not sums:
        tl.store(places + cells, place.to(tl.int32), mask=known)


@torch.library.custom_op("splade::pool_tokens", mutates_args=())
def pool_tokens(
    tokens: Tensor, weight: Tensor, bias: Tensor | None, lengths: list[int], agg: str, activation: str
) -> tuple[Tensor, Tensor]:
    """Term weights [B, V] in float32, and for "max" the token of each maximum [B, V] int32; see `splade_head`."""
    device, n_terms = tokens.device, len(weight)
    pooled = torch.empty(len(lengths), n_terms, device=device)
    places = torch.empty(pooled.shape if agg == "max" else (0, 0), dtype=torch.int32, device=device)
    ends = torch.tensor(lengths, dtype=torch.int64).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends]).to(device)
    tf32 = tokens.is_cuda and torch.backends.cuda.matmul.allow_tf32
    if lengths:
        _pool[(triton.cdiv(n_terms, TERMS), len(lengths))](
            tokens.contiguous(),
            weight.contiguous(),
            weight if bias is None else bias,
            starts,
            pooled,
            places,
            n_terms,
            tokens.shape[1],
            sums=agg == "sum",
            has_bias=bias is not None,
            logs=LOGS[activation],
            precision="tf32" if tf32 else "ieee",
            n_tile_tokens=TOKENS,
            n_tile_terms=TERMS,
            n_tile_dims=DIMENSIONS,
        )
    if agg == "max":
        pooled = ACTIVATIONS[activation](pooled if bias is None else pooled + bias)
    pooled[torch.tensor(lengths, device=device) == 0] = 0
    return pooled, places


@pool_tokens.register_fake
def _(
    tokens: Tensor, weight: Tensor, bias: Tensor | None, lengths: list[int], agg: str, activation: str
) -> tuple[Tensor, Tensor]:
    pooled = tokens.new_empty(len(lengths), weight.shape[0], dtype=torch.float32)
    return pooled, tokens.new_empty(pooled.shape if agg == "max" else (0, 0), dtype=torch.int32)


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
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of tokens, weight and bias (empty without one) from that of the weights [B, V]."""
    packed = Packed(tokens, tuple(lengths), weight, bias, weight.dtype)
    needed = (True, True, bias is not None)
    if agg == "max":
        found = max_pooling.backward(packed, activation, pooled, places, gradient, needed, absolute=True)
    else:
        found = sum_pooling.backward(packed, activation, pooled, None, gradient, needed)
    of_tokens, of_weight, of_bias = found
    assert of_tokens is not None
    assert of_weight is not None
    typed = of_tokens.to(tokens.dtype), of_weight.to(weight.dtype)
    return (*typed, gradient.new_empty(0) if of_bias is None or bias is None else of_bias.to(bias.dtype))


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
) -> tuple[Tensor, Tensor, Tensor]:
    of_bias = gradient.new_empty(0) if bias is None else torch.empty_like(bias)
    return torch.empty_like(tokens), torch.empty_like(weight), of_bias


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    tokens, weight, bias, ctx.lengths, ctx.agg, ctx.activation = inputs
    ctx.save_for_backward(tokens, weight, bias, *output)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    tokens, weight, bias, pooled, places = ctx.saved_tensors
    of_tokens, of_weight, of_bias = pool_tokens_backward(
        gradient.contiguous(), tokens, weight, bias, pooled, places, ctx.lengths, ctx.agg, ctx.activation
    )
    return of_tokens, of_weight, None if bias is None else of_bias, None, None, None


pool_tokens.register_autograd(_backward, setup_context=_keep)
