"""What the tests of models share: texts as tensors, and a masked language model worked by hand."""

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from splade.models import Retriever

TEXTS = (
    "the heat of the sun",
    "a bridge over the river for the train and the ship on the long water",
    "bees make honey",
    "king",
)


def tokens(model: Retriever, texts: Sequence[str], side: str = "document") -> tuple[Tensor, Tensor]:
    """Token ids and mask [B, L] of ``texts``, padded to the longest."""
    batch = model.tokenizer(side)(
        list(texts), padding=True, truncation=True, max_length=model.max_length(side), return_tensors="pt"
    )
    return batch["input_ids"], batch["attention_mask"]


@torch.no_grad()
def vectors(model: Retriever, texts: Sequence[str], side: str = "document") -> Tensor:
    """Vectors [B, V] of ``texts``."""
    return model(side, *tokens(model, texts, side))


class HandMadeMlm(nn.Module):
    """Three terms, two dimensions: the hidden state of token id i is row i of ``states``.

    It has the parts that the head table looks for in a ModernBERT model, dense, act and norm being identities.
    """

    states = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (2.0, -1.0))
    terms = ((1.0, 0.0), (0.0, 2.0), (1.0, 1.0))
    bias = (0.0, 0.5, -1.0)

    def __init__(self, model_type: str = "modernbert") -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type=model_type, vocab_size=3)
        self.base_model = _HandMadeBase(torch.tensor(self.states))
        self.head = nn.Module()
        self.head.dense = self.head.act = self.head.norm = nn.Identity()
        self.decoder = nn.Linear(2, 3)
        self.decoder.weight.data = torch.tensor(self.terms)
        self.decoder.bias.data = torch.tensor(self.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        hidden = self.base_model(input_ids, attention_mask).last_hidden_state
        return SimpleNamespace(logits=self.decoder(hidden))


class _HandMadeBase(nn.Module):
    def __init__(self, states: Tensor) -> None:
        super().__init__()
        self.states = nn.Parameter(states)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.states[input_ids])
