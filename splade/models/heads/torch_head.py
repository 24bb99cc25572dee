"""The head on GPUs without Triton: one product per chunk of the vocabulary by the device's own library, pooled at once.

Texts of like length are laid side by side, and where a text has ended its first token stands again: that changes no
maximum, and the first of equal logits comes first. Nothing waits for the device, and no logits outlive their chunk.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from splade.models.backbones.packed import Packed
from splade.models.heads.activations import ACTIVATIONS, widened

CELLS = 1 << 25  # logits held at once: 64 MiB in half precision
TOKENS = 1 << 15  # of a group, padding counted, where no text is longer
FILLED = 0.75  # of a group's longest text that its shortest has, at least


class Group(NamedTuple):
    """Texts of like length, side by side."""

    texts: Tensor  # [b] their numbers
    rows: Tensor  # [b * l] the token of each place
    inside: Tensor  # [b, l] whether the text has that place

    def states(self, packed: Packed) -> Tensor:
        """Hidden states [b * l, D] in the type of the product."""
        return packed.tokens.index_select(0, self.rows).to(packed.dtype)


def pool(packed: Packed, agg: str, activation: str) -> tuple[Tensor, Tensor]:
    """Term weights [B, V], and for "max" the place of each maximum in its text [B, V] (int16 or int32).

    Of a text without tokens the weights are those of nothing: the caller sets them to 0.
    """
    device, shape = packed.tokens.device, (len(packed.lengths), len(packed.weight))
    pooled = torch.zeros(shape, dtype=packed.wide, device=device)
    places = torch.zeros(shape if agg == "max" else (0, 0), dtype=packed.place_dtype, device=device)
    groups = list(groups_of(packed.lengths, device))
    states = [group.states(packed) for group in groups]
    for terms, group, logits in _products(packed, groups, states):
        if agg == "max":
            strongest, at = logits.max(dim=1)  # NaN is stronger than anything
            pooled[group.texts, terms] = strongest.to(pooled.dtype)
            places[group.texts, terms] = at.to(places.dtype)
        else:
            shifted = widened(logits) if packed.bias is None else widened(logits) + packed.bias[terms]
            activated = ACTIVATIONS[activation](shifted)
            pooled[group.texts, terms] = activated.masked_fill_(~group.inside.unsqueeze(2), 0).sum(dim=1)
    if agg == "max":
        pooled = ACTIVATIONS[activation](pooled if packed.bias is None else pooled + packed.bias)
    return pooled, places


def _products(
    packed: Packed, groups: Sequence[Group], states: Sequence[Tensor]
) -> Iterator[tuple[slice, Group, Tensor]]:
    """Logits [b, l, terms] of each chunk of terms and each group, in one reused buffer, without bias."""
    largest = max((len(each) for each in states), default=0)
    chunk = min(max(CELLS // max(largest, 1), 256), len(packed.weight))
    buffer = packed.tokens.new_empty(largest * chunk, dtype=packed.dtype)
    for start in range(0, len(packed.weight), max(chunk, 1)):
        terms = slice(start, min(start + chunk, len(packed.weight)))
        matrix = packed.weight[terms].to(packed.dtype).t()  # [D, terms]
        for group, own in zip(groups, states, strict=True):
            logits = buffer[: len(own) * matrix.shape[1]].view(len(own), -1)
            torch.mm(own, matrix, out=logits)
            yield terms, group, logits.view(*group.inside.shape, -1)


def groups_of(lengths: Sequence[int], device: torch.device) -> Iterator[Group]:
    """Groups of the texts that have tokens, the longest first; at most a quarter of a text's places are padding."""
    counts = np.asarray(lengths, dtype=np.int64)
    starts = np.cumsum(counts) - counts
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    while len(order):
        longest = int(counts[order[0]])
        fits = counts[order] >= FILLED * longest
        fits[max(TOKENS // longest, 1) :] = False
        texts, order = order[fits], order[~fits]
        steps = np.arange(longest)
        inside = steps < counts[texts, None]  # [b, l]
        rows = starts[texts, None] + np.where(inside, steps, 0)
        moved = (torch.from_numpy(each).to(device) for each in (texts, rows.ravel(), inside))
        yield Group(*moved)
