"""From hidden states to term weights: vocabulary product, pooling over positions, activation.

Logits [B, L, V] are never held whole: the vocabulary is walked in chunks. For ``max`` the activation,
being monotone, and the bias, being the same at each position, are applied after the maximum, on [B, V].
On the devices that :mod:`splade.models.heads.fused_head` knows, its operation is used; elsewhere plain autograd.
"""

from collections.abc import Callable, Sequence
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splade.models.heads.activations import ACTIVATIONS, Activation, widened
from splade.models.heads.fused_head import is_fast_on, splade_head

CHUNK_ELEMENTS = 1 << 23  # logits held at a time: 32 MiB in float32


def pool_hidden(
    states: Sequence[tuple[Tensor, Tensor]],
    transform: Callable[[Tensor], Tensor] | None,
    decoder: nn.Linear,
    agg: str,
    activation: str,
) -> Tensor:
    """Term weights [B, V] of an encoder's hidden states, computed in the fastest way on their device.

    ``states`` holds one or more batches of them [b, l, D], each with its mask [b, l]; their texts stand in the
    result one after the other. ``transform`` (None: nothing) is what the head does to each state by itself
    before its ``decoder``; other arguments as in :func:`pool_logits`.
    """
    if not is_fast_on(states[0][0].device):
        shown = [(transform(hidden) if transform else hidden, mask) for hidden, mask in states]
        return torch.cat([pool_logits(hidden, decoder, mask, agg, activation) for hidden, mask in shown])
    tokens, lengths = taking_part(states)
    tokens = transform(tokens) if transform else tokens
    return splade_head(tokens, lengths, decoder.weight, decoder.bias, agg, activation)


def taking_part(states: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[int]]:
    """The hidden states [T, D] that the masks let through, text after text, and how many of each text."""
    packed, lengths = [], []
    for hidden, mask in states:
        mask = mask.bool()
        places = mask.flatten().nonzero().squeeze(1)
        packed.append(hidden.flatten(0, 1).index_select(0, places))  # [t, D]: padding goes no further
        lengths += mask.sum(dim=1).tolist()
    return torch.cat(packed), lengths


def pool_logits(
    hidden: Tensor, decoder: nn.Linear, mask: Tensor, agg: str, activation: str, *, chunk: int | None = None
) -> Tensor:
    """Term weights [B, V] ≥ 0, float32 (float64 of float64), of hidden states [B, L, D].

    ``decoder`` maps D to the V terms (its bias may be None). ``mask`` [B, L] is true where a position
    takes part; a text without any gets the zero vector. ``agg`` is a key of :data:`AGGREGATIONS`,
    ``activation`` of :data:`splade.models.heads.activations.ACTIVATIONS`. Of equal logits the first position
    receives the gradient. ``chunk`` terms are computed at a time, by default as many as fit in CHUNK_ELEMENTS logits.
    """
    aggregate, activate = AGGREGATIONS[agg], ACTIVATIONS[activation]
    mask = mask.bool()
    hidden = _over_padding(hidden, mask)  # [B, L, D]
    chunk = chunk or max(CHUNK_ELEMENTS // max(mask.numel(), 1), 256)
    biases = repeat(None) if decoder.bias is None else decoder.bias.split(chunk)
    parts = [
        aggregate(F.linear(hidden, rows), bias, mask, activate)  # [B, chunk] from [B, L, chunk]
        for rows, bias in zip(decoder.weight.split(chunk), biases, strict=False)
    ]
    return _zero_where_empty(torch.cat(parts, dim=1), mask)  # [B, V]


def pool_full_logits(logits: Tensor, mask: Tensor, agg: str, activation: str) -> Tensor:
    """As :func:`pool_logits`, from logits [B, L, V] that a model computed itself."""
    mask = mask.bool()
    weights = AGGREGATIONS[agg](_over_padding(logits, mask), None, mask, ACTIVATIONS[activation])
    return _zero_where_empty(weights, mask)


def _max_then_activate(logits: Tensor, bias: Tensor | None, _mask: Tensor, activate: Activation) -> Tensor:
    # amax is faster but shares the gradient among ties; max gives it to the first
    strongest = logits.max(dim=1).values if logits.requires_grad else logits.amax(dim=1)
    return activate(widened(strongest) if bias is None else widened(strongest) + bias)


def _activate_then_sum(logits: Tensor, bias: Tensor | None, mask: Tensor, activate: Activation) -> Tensor:
    activated = activate(widened(logits) if bias is None else widened(logits) + bias)
    return torch.where(mask.unsqueeze(2), activated, 0.0).sum(dim=1)  # a product with 0 would make NaN of infinity


AGGREGATIONS: dict[str, Callable[[Tensor, Tensor | None, Tensor, Activation], Tensor]] = {
    "max": _max_then_activate,
    "sum": _activate_then_sum,
}
"""How positions become one weight: the strongest (SPLADE v2, arXiv 2109.10086) or their sum (the first SPLADE)."""


def _over_padding(values: Tensor, mask: Tensor) -> Tensor:
    """``values`` [B, L, ·] with each position that is masked out overwritten by the row's first that is not.

    A maximum is not changed by repeating one of its arguments, so no infinities are needed.
    """
    first = mask.int().argmax(dim=1)  # [B]
    stand_in = values[torch.arange(values.shape[0], device=values.device), first]  # [B, ·]
    return torch.where(mask.unsqueeze(2), values, stand_in.unsqueeze(1))


def _zero_where_empty(weights: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask.any(dim=1, keepdim=True), weights, 0.0)
