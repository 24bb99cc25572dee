"""The vectors of one process's part of a global batch: encoded part by part, each text with its own dropout masks."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splade.models.backbones.dropout import only
from splade.models.backbones.layouts import find_head
from splade.models.encoders.mlm import MlmEncoder
from splade.records import SIDES
from splade.training.step.batch_share import Part, Share
from splade.training.step.dropout_masks import Masks


class ShareEncoder:
    """Encodes texts of a share with ``model``; a text's dropout masks are the same in each encoding of one batch."""

    def __init__(
        self, model: nn.Module, seed: int, autocast: Callable[[], AbstractContextManager[object]], device: torch.device
    ) -> None:
        self.model, self.seed, self.device = model, seed, device
        self.autocast, self.masks = autocast, Masks(seed, device)

    def of(self, model: nn.Module) -> "ShareEncoder":
        """The same encoder with another ``model`` of the same kind."""
        other = copy.copy(self)
        other.model = model
        return other

    def __call__(self, share: Share, part: Part, batch: int) -> dict[str, Tensor]:
        """Vectors [., V] in float32 of the texts of ``part``, by side; sides without a text are left out."""
        inputs, keys, first = {}, [], []
        for side, rows in part.items():
            if len(rows):
                tokens = share.tokens[side]
                ids, mask = trimmed(rows, tokens.attention_mask, self.device, tokens.input_ids, tokens.attention_mask)
                inputs[side] = (ids, mask)
                keys.append(share.keys(self.seed, batch, side)[torch.from_numpy(rows)])
                first.append(SIDES.index(side) << 32 | share.first_text(side) + int(rows[0]))
        with self.computing(torch.cat(keys), batch, *first):
            return {side: vectors.float() for side, vectors in encode_part(self.model, inputs).items()}

    @contextmanager
    def computing(self, keys: Tensor, *place: int) -> Iterator[None]:
        """A block that encodes texts whose dropout masks have ``keys`` [B], in the precision of the training."""
        with self.autocast(), self.masks.drawn(keys, *place):
            yield

    @contextmanager
    def without_dropout(self) -> Iterator[None]:
        """A block in which the model is in evaluation mode; afterwards it is as before."""
        was_training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(was_training)


def encode_part(model: nn.Module, inputs: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Vectors [., V] of the texts of each side, from ids and masks [., L] on the model's device.

    For their dropout, texts are numbered one side after the other.
    Where one encoder serves both sides they go through it together, and share its length buckets.
    """
    retriever: Any = model
    counts = [len(ids) for ids, _ in inputs.values()]
    if len(inputs) < 2 or not _may_mix(retriever):
        texts = torch.arange(sum(counts)).split(counts)
        vectors = {}
        for (side, given), rows in zip(inputs.items(), texts, strict=True):
            with only(rows):
                vectors[side] = model(side, *given)
        return vectors
    width = max(ids.shape[1] for ids, _ in inputs.values())
    padded = [
        torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])
        for parts in zip(*inputs.values(), strict=True)
    ]
    weights = retriever.encoders["document"](*padded)  # [queries + documents, V]
    by_side = weights.split(counts)
    return {side: retriever.finish(side, own, *inputs[side]) for side, own in zip(inputs, by_side, strict=True)}


def in_text_order(side: str, parts: Sequence[Part], encoded: Sequence[dict[str, Tensor]]) -> Tensor:
    """The vectors of a side, ``encoded`` part by part, as one tensor in the order of the texts, without a graph."""
    rows = torch.cat([torch.from_numpy(part[side]) for part in parts])
    vectors = torch.cat([each[side].detach() for each in encoded if side in each])
    return vectors if len(parts) == 1 else vectors.index_select(0, rows.argsort().to(vectors.device))


def trimmed(
    rows: NDArray[np.int64], mask: NDArray[np.int64], device: torch.device, *parts: NDArray[Any]
) -> list[Tensor]:
    """These ``rows`` of ``parts`` [., L] on ``device``, without the columns that are padding in all of them."""
    width = max(int(mask[rows].sum(axis=1).max()), 1)  # padded on the right
    return [torch.from_numpy(part[rows, :width]).to(device) for part in parts]


def _may_mix(model: Any) -> bool:
    """True where queries and documents share an encoder and pooling, and it computes texts of like length together."""
    if not (getattr(model, "shares_encoder", False) and getattr(model, "pools_alike", True)):
        return False
    encoder = model.encoders["document"]
    return isinstance(encoder, MlmEncoder) and find_head(encoder.mlm) is not None
