"""A lexical weight for each of a text's own tokens, added to what a masked language model's head expands it to.

Pooling by maximum sees neither how often a token occurs nor how long a text is. A model that has met few queries
trusts a rare word of its own collection no more than any other. BM25 knows all three. Its weights are added in the
space of the terms, so that one vector holds both and one inverted index searches it; the head, trained together with
them, learns what they miss (the idea of CLEAR, arXiv 2004.13969, whose residual is a dense vector beside the words).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from splade.models.encoders.token_tables import TENSORS


class Saturation(NamedTuple):
    """The share of a token found tf times in a text of n tokens: ``tf / (tf + k1 (1 - b + b n / mean_length))``."""

    k1: float
    b: float
    mean_length: float

    def __call__(self, frequencies: Tensor, lengths: Tensor) -> Tensor:
        """Shares in [0, 1) of frequencies and lengths, tensors of one shape."""
        norms = self.k1 * (1 - self.b + self.b * lengths / self.mean_length)
        return frequencies / (frequencies + norms)


class LexicalWeights(nn.Module):
    """Token t of a query adds ``g[t]``, of a document ``g[t] · saturation``; the head's weights count ``expansion``.

    ``weights`` [V] are where g starts; what falls below 0 counts as 0. Both are trained, at the rate of token tables.
    """

    is_query_table = True
    dropped: Tensor

    def __init__(self, weights: Tensor, dropped: Iterable[int], saturation: Saturation, expansion: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weights.float().clone())
        self.expansion = nn.Parameter(torch.tensor([float(expansion)]))
        self.saturation = saturation
        self.register_buffer("dropped", torch.tensor(list(dropped), dtype=torch.int64), persistent=False)

    def forward(self, side: str, expanded: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [B, V] ≥ 0 of a head's weights [B, V], token ids and mask [B, L]."""
        own = torch.zeros_like(expanded).scatter_reduce(
            1, input_ids, self.token_weights(side, input_ids, attention_mask), "amax"
        )
        return expanded * self.expansion.relu() + own

    def token_weights(self, side: str, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The lexical weights [B, L] of tokens, ids and mask [B, L]; 0 for padding and dropped ids."""
        kept = attention_mask.bool() & ~torch.isin(input_ids, self.dropped)  # [B, L]
        weights = self.weight[input_ids].relu()
        if side == "document":
            weights = weights * self._shares(input_ids, kept, len(self.weight))
        return weights.masked_fill(~kept, 0)

    def _shares(self, input_ids: Tensor, kept: Tensor, width: int) -> Tensor:
        """[B, L]; the same wherever a token stands in its text."""
        counts = torch.zeros(input_ids.shape[0], width, device=input_ids.device)  # no len(): a trace would fix it
        counts.scatter_add_(1, input_ids, kept.float())
        lengths = kept.sum(dim=1, keepdim=True).float()
        return self.saturation(counts.gather(1, input_ids), lengths.expand_as(input_ids))

    def save(self, folder: Path) -> None:
        """Write g and the weight of the expansion, as :func:`learned` reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.named_parameters()}
        save_file(tensors, folder / TENSORS)


def learned(folder: Path) -> tuple[Tensor, float]:
    """g [V] and the weight of the expansion that :meth:`LexicalWeights.save` wrote."""
    tensors = load_file(folder / TENSORS)
    return tensors["weight"], float(tensors["expansion"])
