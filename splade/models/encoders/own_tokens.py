"""Vectors without expansion: a weight for each token that the text has, and nothing else.

A token that comes several times counts once, with the largest of its weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from splade.files import write_json
from splade.models.heads.activations import ACTIVATIONS, relu
from splade.models.heads.sparse_head import sparse_rows
from splade.records import SparseRows


class OwnTokens(nn.Module, ABC):
    """Weights of a text's own tokens as a vector over ``vocab_size`` terms, without the ``dropped`` ids."""

    dropped: Tensor

    def __init__(self, vocab_size: int, dropped: Iterable[int]) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.register_buffer("dropped", torch.tensor(list(dropped), dtype=torch.int64), persistent=False)

    @abstractmethod
    def token_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Weights [B, L] ≥ 0 of token ids and mask [B, L]; those of padding and dropped ids do not matter."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [B, V], float32, of token ids and mask [B, L]; zero for a text without tokens."""
        return self._pooled(input_ids, attention_mask, input_ids, self.vocab_size)

    @torch.no_grad()
    def rows(self, input_ids: Tensor, attention_mask: Tensor) -> SparseRows:
        """As :meth:`forward`, the non-zeros alone; nothing is wider than the different tokens of the batch."""
        terms, columns = input_ids.unique(return_inverse=True)
        rows = sparse_rows(self._pooled(input_ids, attention_mask, columns, len(terms)))
        return rows._replace(columns=terms.cpu().numpy()[rows.columns].astype(np.int32))

    @torch.no_grad()
    def contributions(self, input_ids: Tensor, attention_mask: Tensor, terms: Tensor) -> Tensor:
        """The weights [L, T] that each position of one text, ids and mask [1, L], gives T ``terms``.

        Their maximum over positions is what :meth:`forward` gives these terms.
        """
        if not input_ids.shape[1]:
            return torch.zeros(0, len(terms), device=input_ids.device)
        return at_own_terms(input_ids, self._kept_weights(input_ids, attention_mask), terms)

    def _pooled(self, input_ids: Tensor, attention_mask: Tensor, columns: Tensor, width: int) -> Tensor:
        """[B, width], the weight of each token at its place in ``columns`` [B, L]."""
        vectors = torch.zeros(input_ids.shape[0], width, device=input_ids.device)
        if not input_ids.shape[1]:
            return vectors
        return vectors.scatter_reduce(1, columns, self._kept_weights(input_ids, attention_mask), "amax")

    def _kept_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L], float32, 0 for padding and dropped ids."""
        kept = attention_mask.bool() & ~torch.isin(input_ids, self.dropped)  # [B, L]
        return self.token_weights(input_ids, attention_mask).float().masked_fill(~kept, 0)


class TokenBag(OwnTokens):
    """The binary bag of a text's own tokens; nothing to train."""

    def token_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # noqa: ARG002
        return torch.ones(input_ids.shape, device=input_ids.device)

    def table(self) -> Tensor:
        """The weight of every term [V], with nothing for dropped ones."""
        return self._without_dropped(torch.ones(self.vocab_size))

    def save(self, folder: Path) -> None:
        """Write the table of all terms as Sentence Transformers' ``SparseStaticEmbedding``."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.table().detach().cpu().contiguous()}, folder / "model.safetensors")
        write_json(folder / "config.json", {"frozen": not any(p.requires_grad for p in self.parameters())})

    def _without_dropped(self, table: Tensor) -> Tensor:
        return table.index_fill(0, self.dropped.to(table.device), 0)


class TokenTable(TokenBag):
    """A text's own tokens with the weights that a table gives them (IDF: arXiv 2411.04403).

    ``weights`` [V]; what falls below 0 in training counts as 0. A ``frozen`` table is no parameter.
    """

    is_query_table = True  # trains with a rate of its own, without weight decay
    weight: Tensor

    def __init__(self, weights: Tensor, dropped: Iterable[int], *, frozen: bool = False) -> None:
        super().__init__(len(weights), dropped)
        if frozen:
            self.register_buffer("weight", weights.float().clone())
        else:
            self.weight = nn.Parameter(weights.float().clone())

    def token_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # noqa: ARG002
        return relu(self.weight[input_ids])

    def table(self) -> Tensor:
        return self._without_dropped(relu(self.weight))


class LearnedTable(TokenBag):
    """As :class:`TokenTable`, the weight of a token being ``activation(w · E[token] + b)`` (arXiv 2505.01452).

    ``E`` starts as ``embeddings`` [V, D], copied. ``w`` starts at 0 and ``b`` where every token has weight 1, so
    that training starts from the binary bag. Once trained, the table is all that is needed.
    """

    is_query_table = True

    def __init__(self, embeddings: Tensor, dropped: Iterable[int], *, activation: str = "log1p_relu") -> None:
        super().__init__(len(embeddings), dropped)
        self.embeddings = nn.Parameter(embeddings.detach().float().clone())
        self.projection = nn.Linear(embeddings.shape[1], 1)
        self.activation = ACTIVATIONS[activation]
        start_at_one(self.projection, activation)

    def token_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # noqa: ARG002
        return self._weights(self.embeddings[input_ids])

    def table(self) -> Tensor:
        return self._without_dropped(self._weights(self.embeddings))

    def _weights(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.projection(embeddings).squeeze(-1)
        return self.activation(logits)


def at_own_terms(input_ids: Tensor, weights: Tensor, terms: Tensor) -> Tensor:
    """The ``weights`` [1, L] of a text's tokens, each at its own of T ``terms`` [T]; [L, T], 0 elsewhere."""
    return torch.where(input_ids[0].unsqueeze(1) == terms, weights[0].unsqueeze(1), 0.0)


def start_at_one(projection: nn.Linear, activation: str) -> None:
    """Have ``projection`` give the weight 1, through ``activation``, for every input; in place."""
    bias = 1.0
    for _ in range(activation.count("log1p")):
        bias = float(np.expm1(bias))
    nn.init.zeros_(projection.weight)
    nn.init.constant_(projection.bias, bias)
