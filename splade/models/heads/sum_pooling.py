"""The sum over a text's tokens of each term's activated logits, and its gradient, without keeping any logits.

Every token with a logit above 0 gets a gradient, so the backward pass takes the products again, of those terms
alone that are active in some text.
"""

import torch
from torch import Tensor

from splade.models.backbones.packed import Block, Packed, blocks
from splade.models.heads.activations import ACTIVATIONS, SLOPES, widened
from splade.models.heads.max_pooling import Gradients, true_places


def forward(packed: Packed, activation: str, learns: bool) -> tuple[Tensor, None]:  # noqa: ARG001
    """Term weights [B, V]."""
    sums = packed.tokens.new_zeros(len(packed.lengths), len(packed.weight), dtype=packed.wide)
    for block in blocks(packed):
        activated = _activated(block, None if packed.bias is None else packed.bias[block.terms], activation)
        for texts, values in activated.by_run():
            sums[texts, block.terms] = values.sum(dim=1)
    return sums, None


def backward(
    packed: Packed,
    activation: str,
    weights: Tensor,
    _positions: None,
    gradient: Tensor,
    needed: tuple[bool, bool, bool],
) -> Gradients:
    """Gradients from that of the weights [B, V]; ``needed`` of tokens, weight, bias."""
    reached = (weights != 0).logical_and_(gradient != 0)  # [B, V]
    columns = true_places(reached.any(dim=0))
    gradient = gradient[:, columns]
    of_tokens = torch.zeros_like(packed.tokens, dtype=packed.wide) if needed[0] else None
    of_weight = torch.zeros_like(packed.weight, dtype=packed.wide) if needed[1] else None
    of_bias = gradient.new_zeros(len(packed.weight)) if needed[2] else None
    for block in blocks(packed, columns):
        terms = columns[block.terms]
        activated = _activated(block, None if packed.bias is None else packed.bias[terms], activation)
        slopes = SLOPES[activation](activated.logits).masked_fill_(activated.logits == 0, 0)
        for texts, values in activated._replace(logits=slopes).by_run():
            values *= gradient[texts, block.terms].unsqueeze(1)
        own = slice(block.first_token, block.first_token + len(slopes))
        if of_tokens is not None:
            of_tokens[own] += slopes @ packed.weight[terms].to(slopes.dtype)
        if of_weight is not None:
            of_weight.index_add_(0, terms, slopes.t() @ packed.tokens[own].to(slopes.dtype))
        if of_bias is not None:
            of_bias.index_add_(0, terms, slopes.sum(dim=0))
    return Gradients(of_tokens, of_weight, of_bias)


def _activated(block: Block, bias: Tensor | None, activation: str) -> Block:
    logits = widened(block.logits)
    return block._replace(logits=ACTIVATIONS[activation](logits if bias is None else logits + bias))
