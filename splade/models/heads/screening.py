"""Maxima of logits where they can matter: found in bfloat16, computed in float32.

Of a text's maxima over its tokens nearly all are below zero and end as zero weights. A processor that multiplies
bfloat16 by itself takes such a product two to three times as fast, with a known error: with u = 2⁻⁸, rounding both
factors changes a dot product h · w by at most (2u + u²) Σ|hᵢ wᵢ| ≤ (2u + u²) ‖h‖ ‖w‖, and rounding the result by u of
it. A maximum that is not above zero even with all of that added is not above zero; the others are computed again in
float32, from the tokens of their text. So the weights, and which of them are zero, are those of float32.
"""

from functools import lru_cache

import torch
from torch import Tensor

from splade.models.backbones.devices import CPU_FLAGS, cpu_flags
from splade.models.backbones.packed import Packed, blocks

UNIT = 2.0**-8  # unit roundoff of bfloat16, with 8 significant bits
FEW = 0.25  # share of maxima that may be left in doubt; beyond it float32 alone is cheaper
WORTH = 1 << 22  # logits below which nothing is gained


@lru_cache(maxsize=1)
def is_fast() -> bool:
    """True where this processor has instructions that multiply bfloat16 matrices."""
    return bool(CPU_FLAGS[torch.bfloat16] & cpu_flags())


def is_worth_it(packed: Packed) -> bool:
    """True where :func:`strongest_above_zero` may be the fast way for these products."""
    return (
        packed.dtype == packed.tokens.dtype == packed.weight.dtype == torch.float32
        and packed.tokens.device.type == "cpu"
        and len(packed.tokens) * len(packed.weight) >= WORTH
        and is_fast()
    )


@torch.no_grad()
def strongest_above_zero(packed: Packed) -> Tensor | None:
    """Maxima over the tokens of each text, bias added [B, V]: in float32 those above 0, some value ≤ 0 for the others.

    What is no number, or infinite, is found as float32 finds it. None where too many maxima are in doubt.
    """
    doubtful = _in_doubt(packed)
    if doubtful is None:
        return None
    strongest = packed.tokens.new_zeros(doubtful.shape)
    for text, (start, length) in enumerate(zip(packed.starts, packed.lengths, strict=False)):
        if not length:
            continue
        terms = doubtful[text].nonzero().squeeze(1)
        found = (packed.tokens[start : start + length] @ packed.weight[terms].t()).amax(dim=0)
        strongest[text, terms] = found if packed.bias is None else found + packed.bias[terms]
    return strongest


def _in_doubt(packed: Packed) -> Tensor | None:
    """Mark the maxima [B, V] that may be above 0, judged by bfloat16 and its error; None where they are many."""
    shape = len(packed.lengths), len(packed.weight)
    doubtful = torch.zeros(shape, dtype=torch.bool)
    longest = torch.stack([part.amax() if len(part) else part.new_zeros(()) for part in _norms(packed)])  # [B]
    widths = packed.weight.norm(dim=1)  # [V]
    rounding = 2 * UNIT + UNIT**2 + 2.0**-22 * packed.weight.shape[1]  # and float32 sums
    left = FEW * doubtful.numel()
    for block in blocks(packed._replace(dtype=torch.bfloat16)):
        limit = 0.0 if packed.bias is None else -packed.bias[block.terms]
        for texts, logits in block.by_run():
            found = logits.amax(dim=1).float()
            slack = torch.outer(longest[texts], widths[block.terms]).mul_(rounding).add_(found.abs(), alpha=2 * UNIT)
            unsure = (found.add_(slack) <= limit).logical_not_()  # true for what is no number
            doubtful[texts, block.terms] = unsure
            left -= int(unsure.count_nonzero())
        if left < 0:
            return None
    return doubtful


def _norms(packed: Packed) -> tuple[Tensor, ...]:
    """The norms of each text's tokens."""
    norms: tuple[Tensor, ...] = packed.tokens.norm(dim=1).split(list(packed.lengths))
    return norms
