"""The head's kernel in Triton: it multiplies, pools and forgets.

A program holds one text and one block of the vocabulary. It walks the text's tokens, multiplies a tile of them with the
block, accumulating in float32, and keeps in registers the running maximum and its place, or the running sum of
activated logits. No logit is ever written to memory. :mod:`splade.models.heads.cuda_head` makes an operator of it.

Programs that run at the same time share one block of the matrix and differ in their texts, so the matrix is read from
memory once for each group of texts, and the group's tokens come from the cache.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from splade.models.backbones.packed import Packed
from splade.models.heads.activations import ACTIVATIONS

LOGS = {"relu": 0, "log1p_relu": 1, "log1p_log1p_relu": 2}
CACHED = 16 << 20  # bytes of hidden states that a group of texts may have: a part of the cache of an A100 (40 MiB)


class Tiles(NamedTuple):
    """The sizes of one step of the kernel, and how it is spread over a multiprocessor."""

    tokens: int
    terms: int
    dims: int
    warps: int = 8
    stages: int = 3


TILES = {"half": Tiles(64, 128, 64), "tf32": Tiles(64, 128, 32), "ieee": Tiles(32, 64, 16)}
"""By product: half types, float32 in TF32, float32. Without tensor cores (``ieee``) the products take the registers."""


@triton.jit
def _own_work(program, n_texts, n_blocks, n_together):  # type: ignore[no-untyped-def]
    """The text and the block of the vocabulary of a program: group by group, in it block by block, in it by text."""
    group = program // (n_together * n_blocks)
    first = group * n_together
    width = min(n_texts - first, n_together)
    within = program - group * n_together * n_blocks
    return first + within % width, within // width


@triton.jit
def _activated(logits, logs: tl.constexpr):  # type: ignore[no-untyped-def]
    """``max(x, 0)``, then ``log(1 + x)`` as often as ``logs`` says; NaN stays NaN, infinity infinity."""
    active = tl.maximum(logits, 0.0, propagate_nan=tl.PropagateNan.ALL)
    for _ in tl.static_range(logs):  # exact for small x too; from 2²⁴ on 1 + x is x
        grown = 1.0 + active
        rest = tl.where(grown == 1.0, 1.0, grown - 1.0)
        share = tl.where(grown == active, 1.0, active / rest)
        active = tl.where(grown == 1.0, active, tl.log(grown) * share)
    return active


@triton.jit
def _pool(  # type: ignore[no-untyped-def]
    tokens,  # [T, D]
    weight,  # [V, D]
    bias,  # [V]
    starts,  # [B + 1]
    pooled,  # [B, V], written: maxima without bias, or sums
    places,  # [B, V], written: the token of each maximum, counted within its text
    n_texts,
    n_terms,
    width,
    n_together,
    sums: tl.constexpr,
    has_bias: tl.constexpr,
    logs: tl.constexpr,
    precision: tl.constexpr,
    n_tile_tokens: tl.constexpr,
    n_tile_terms: tl.constexpr,
    n_tile_dims: tl.constexpr,
):
    text, block = _own_work(tl.program_id(0), n_texts, tl.cdiv(n_terms, n_tile_terms), n_together)
    text, block = text.to(tl.int64), block.to(tl.int64)
    first = tl.load(starts + text)
    length = (tl.load(starts + text + 1) - first).to(tl.int32)
    own_tokens, own_weight = tokens + first * width, weight + block * n_tile_terms * width
    columns = tl.arange(0, n_tile_terms)
    known = columns < n_terms - block * n_tile_terms
    best = tl.full([n_tile_terms], float("-inf"), tl.float32)
    total = tl.zeros([n_tile_terms], tl.float32)
    place = tl.zeros([n_tile_terms], tl.int32)
    spoilt = tl.zeros([n_tile_terms], tl.int32)  # terms with a logit that is not a number
    offset = total
    if has_bias:
        offset = tl.load(bias + block * n_tile_terms + columns, mask=known, other=0.0).to(tl.float32)
    for start in range(0, length, n_tile_tokens):
        rows = start + tl.arange(0, n_tile_tokens)
        inside = rows < length
        logits = tl.zeros([n_tile_tokens, n_tile_terms], tl.float32)
        for dimension in range(0, width, n_tile_dims):
            dims = dimension + tl.arange(0, n_tile_dims)
            held = dims < width
            states = tl.load(
                own_tokens + (rows[:, None] * width + dims[None, :]), mask=inside[:, None] & held[None, :], other=0.0
            )
            matrix = tl.load(
                own_weight + (columns[None, :] * width + dims[:, None]), mask=known[None, :] & held[:, None], other=0.0
            )
            logits = tl.dot(states, matrix, logits, input_precision=precision)
        if sums:
            active = _activated(logits + offset[None, :], logs)
            total += tl.sum(tl.where(inside[:, None], active, 0.0), axis=0)
        else:
            wrong = inside[:, None] & (logits != logits)  # comparisons leave NaN out, so it is kept apart
            spoilt = tl.maximum(spoilt, tl.max(wrong.to(tl.int32), axis=0))
            found = tl.where(inside[:, None], tl.where(wrong, float("inf"), logits), float("-inf"))
            strongest, at = tl.max(found, axis=0, return_indices=True)
            better = strongest > best  # of equal logits the first token stays
            place = tl.where(better, start + at, place)
            best = tl.where(better, strongest, best)
    cells = text * n_terms + block * n_tile_terms + columns
    if sums:
        tl.store(pooled + cells, total, mask=known)
    else:
        tl.store(pooled + cells, tl.where(spoilt > 0, float("nan"), best), mask=known)
        tl.store(places + cells, place.to(places.dtype.element_ty), mask=known)


def pool(
    packed: Packed, agg: str, activation: str, precision: str, tiles: Tiles | None = None
) -> tuple[Tensor, Tensor]:
    """Term weights [B, V] in float32, and for "max" the place of each maximum in its text [B, V] (int16 or int32).

    ``precision`` is a key of :data:`TILES`; ``tiles`` stand in for those. Of a text without tokens the weights are
    those of nothing: the caller sets them to 0.
    """
    tiles = tiles or TILES[precision]
    device, (n_terms, width) = packed.tokens.device, packed.weight.shape
    pooled = torch.empty(len(packed.lengths), n_terms, device=device, dtype=torch.float32)
    places = torch.empty(pooled.shape if agg == "max" else (0, 0), dtype=packed.place_dtype, device=device)
    weight = packed.weight.to(packed.dtype).contiguous()
    if pooled.numel():
        with torch.cuda.device_of(packed.tokens):  # Triton launches on the current device
            _pool[(len(packed.lengths) * triton.cdiv(n_terms, tiles.terms),)](
                packed.tokens.to(packed.dtype).contiguous(),
                weight,
                weight if packed.bias is None else packed.bias,
                torch.tensor(packed.starts, device=device),
                pooled,
                places,
                *(len(packed.lengths), n_terms, width),
                texts_together(packed),
                **options(agg, activation, precision, packed.bias is not None, tiles),
                num_warps=tiles.warps,
                num_stages=tiles.stages,
            )
    if agg == "max":
        pooled = ACTIVATIONS[activation](pooled if packed.bias is None else pooled + packed.bias)
    return pooled, places


def options(agg: str, activation: str, precision: str, has_bias: bool, tiles: Tiles) -> dict[str, Any]:
    """The kernel's arguments that are compiled into it."""
    return {
        "sums": agg == "sum",
        "has_bias": has_bias,
        "logs": LOGS[activation],
        "precision": "tf32" if precision == "tf32" else "ieee",
        "n_tile_tokens": tiles.tokens,
        "n_tile_terms": tiles.terms,
        "n_tile_dims": tiles.dims,
    }


def texts_together(packed: Packed) -> int:
    """The number of texts of a group, at least 1: those whose hidden states stay in the cache together."""
    n_texts = max(len(packed.lengths), 1)
    octets = len(packed.tokens) * packed.weight.shape[1] * packed.dtype.itemsize / n_texts  # of a text
    return max(1, min(n_texts, int(CACHED // max(octets, 1))))
