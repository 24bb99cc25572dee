"""One dense vector per text: the mean of a transformer's hidden states, or the first, of unit length or not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from splade.models.backbones.decoders import attention_of, inputs
from splade.models.backbones.loading import folder_of, load_base
from splade.models.backbones.neighbours import Reader
from splade.models.encoders.mlm import attend_to_something, one_of, save_model


class DenseEncoder(Reader, nn.Module):
    """An encoder whose vector is the mean of its hidden states, or the state of the first token ([CLS]).

    ``normalize``: vectors are divided by their length (L2), in float32; the zero vector stays zero.
    """

    def __init__(self, source: str | Path, *, pooling: str = "mean", normalize: bool = False) -> None:
        super().__init__()
        one_of("init_dict.pooling", pooling, ("mean", "cls"))
        self.pooling, self.normalize = pooling, normalize
        self.base = load_base(folder_of(source))
        self.attention = attention_of(self.base, None, source)

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.base

    @property
    def vocab_size(self) -> int:
        """The width D of the hidden states."""
        return int(self.base.config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [B, D], float32, of token ids and mask [B, L]; zero for a text without tokens."""
        pooled = self.pooled(input_ids, attention_mask)
        return functional.normalize(pooled.float(), dim=1) if self.normalize else pooled

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [B, D] of token ids and mask [B, L], of the length that pooling gives them."""
        if input_ids.shape[1] == 0:
            return torch.zeros(input_ids.shape[0], self.vocab_size, device=input_ids.device)
        hidden = self.states(input_ids, attend_to_something(attention_mask)).float()  # [B, L, D]
        weights = attention_mask.float()  # [B, L]
        if self.pooling == "cls":
            return hidden[:, 0] * weights[:, :1]
        return torch.einsum("bld,bl->bd", hidden, weights) / weights.sum(dim=1, keepdim=True).clamp(min=1)

    def padded_states(self, input_ids: Tensor, attended: Tensor) -> Tensor:
        """The last hidden states [B, L, D]."""
        hidden: Tensor = self.base(**inputs(self.base, input_ids, attended, self.attention)).last_hidden_state
        return hidden

    def weights_in_use(self) -> Iterator[tuple[str, Tensor]]:
        """Names and parameters that the vectors depend on, each once."""
        yield from self.base.named_parameters()

    def save(self, folder: Path) -> None:
        """Write a folder that ``AutoModel`` loads."""
        save_model(self.base, folder)
