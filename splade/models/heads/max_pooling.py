"""The strongest logit of each term over a text's tokens, and its gradient, without keeping any logits.

Only the arg-max token of an active term (weight above 0) gets a gradient. Where few terms are active it is cheaper
to find those tokens again in the backward pass than to keep track of all in the forward one; where many are, they
are kept. This is decided block by block, while the block's logits are at hand.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from splade.models.backbones.packed import Block, Packed, blocks
from splade.models.heads import screening, second_pass
from splade.models.heads.activations import ACTIVATIONS, SLOPES

DENSE = 0.05  # share of active terms in a block from which its arg-max is stored


class Entries(NamedTuple):
    """The active (text, term) pairs that a gradient reaches, ordered by text, then term; each array [E]."""

    texts: Tensor
    terms: Tensor
    tokens: Tensor  # the arg-max, counted over all texts
    slopes: Tensor  # gradient with respect to the logit


class Gradients(NamedTuple):
    """With respect to tokens [T, D], weight [V, D] and bias [V]; None where not asked for."""

    tokens: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def forward(packed: Packed, activation: str, learns: bool) -> tuple[Tensor, Tensor | None]:
    """Term weights [B, V], and arg-max positions within each text [B, V], −1 where not stored (None: nowhere).

    Positions are stored only if ``learns``, and not where :mod:`splade.models.heads.screening` is faster: few terms are
    active then, and their tokens are found again.
    """
    known = second_pass.recall()
    if known is not None:
        return known, None
    screened = screening.strongest_above_zero(packed) if screening.is_worth_it(packed) else None
    if screened is not None:
        return second_pass.remember(ACTIVATIONS[activation](screened)), None
    shape = len(packed.lengths), len(packed.weight)
    strongest = packed.tokens.new_zeros(shape, dtype=packed.wide)
    positions = None
    for block in blocks(packed):
        for texts, logits in block.by_run():
            strongest[texts, block.terms] = logits.amax(dim=1)
        if learns and _share_active(packed, strongest, block) > DENSE:
            if positions is None:
                positions = torch.full(shape, -1, dtype=packed.place_dtype, device=strongest.device)
            for texts, logits in block.by_run():
                positions[texts, block.terms] = logits.max(dim=1).indices.to(positions.dtype)
    if packed.bias is not None:
        strongest += packed.bias
    weights = ACTIVATIONS[activation](strongest)
    if 0 in packed.lengths:
        weights[torch.tensor(packed.lengths, device=weights.device) == 0] = 0
    return second_pass.remember(weights), positions


def backward(
    packed: Packed,
    activation: str,
    weights: Tensor,
    positions: Tensor | None,
    gradient: Tensor,
    needed: tuple[bool, bool, bool],
    complete: bool = False,
) -> Gradients:
    """Gradients from that of the weights [B, V]; ``needed`` of tokens, weight, bias.

    ``complete``: positions are stored everywhere, so that none is looked for.
    """
    entries = _entries(packed, activation, weights, positions, gradient, complete)
    of_tokens = of_weight = of_bias = None
    if needed[0]:
        of_tokens = _sums_of_rows(packed.weight, entries.terms, entries.tokens, len(packed.tokens), entries.slopes)
    if needed[1]:
        of_weight = _sums_of_rows(packed.tokens, entries.tokens, entries.terms, len(packed.weight), entries.slopes)
    if needed[2]:
        of_bias = entries.slopes.new_zeros(len(packed.weight)).index_add_(0, entries.terms, entries.slopes)
    return Gradients(of_tokens, of_weight, of_bias)


def _share_active(packed: Packed, strongest: Tensor, block: Block) -> float:
    first, last = block.runs[0], block.runs[-1]
    logits = strongest[first.text : last.text + last.n_texts, block.terms]
    active = logits > 0 if packed.bias is None else logits > -packed.bias[block.terms]
    return int(active.count_nonzero()) / max(active.numel(), 1)


def _entries(
    packed: Packed, activation: str, weights: Tensor, positions: Tensor | None, gradient: Tensor, complete: bool
) -> Entries:
    places = true_places((weights != 0).logical_and_(gradient != 0))  # of [B, V]
    texts, terms = places // weights.shape[1], places % weights.shape[1]
    slopes = gradient.reshape(-1)[places] * SLOPES[activation](weights.reshape(-1)[places])
    if positions is None:
        tokens = torch.full_like(terms, -1)
    else:
        within = positions.reshape(-1)[places].long()
        tokens = torch.where(within < 0, -1, within + torch.tensor(packed.starts, device=texts.device)[texts])
    if not complete:
        _find_tokens(packed, texts, terms, tokens)
    return Entries(texts, terms, tokens, slopes)


def true_places(flags: Tensor) -> Tensor:
    """Return the places of true ``flags``, counted as if the flags were flat."""
    if flags.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(flags.numpy()))  # torch's nonzero is several times slower there
    return flags.flatten().nonzero().squeeze(1)


def _find_tokens(packed: Packed, texts: Tensor, terms: Tensor, tokens: Tensor) -> None:
    """Fill in ``tokens`` where it is −1, text by text."""
    missing = true_places(tokens < 0)
    if not len(missing):
        return
    counts = torch.bincount(texts[missing], minlength=len(packed.lengths)).tolist()
    for start, length, own in zip(packed.starts, packed.lengths, missing.split(counts), strict=False):
        if len(own):
            states = packed.tokens[start : start + length].to(packed.dtype)  # [length, D]
            rows = packed.weight[terms[own]].to(packed.dtype)  # [terms, D]
            tokens[own] = start + (states @ rows.t()).argmax(dim=0)


def _sums_of_rows(table: Tensor, rows: Tensor, into: Tensor, n_sums: int, factors: Tensor) -> Tensor:
    """[n_sums, D]: sum i adds up ``factors[e] * table[rows[e]]`` over the entries e with ``into[e] == i``."""
    order = torch.argsort(into, stable=True)
    offsets = torch.zeros(n_sums, dtype=torch.int64, device=into.device)
    torch.cumsum(torch.bincount(into, minlength=n_sums)[:-1], dim=0, out=offsets[1:])
    sums: Tensor = F.embedding_bag(
        rows[order], table.to(factors.dtype), offsets, mode="sum", per_sample_weights=factors[order]
    )
    return sums
