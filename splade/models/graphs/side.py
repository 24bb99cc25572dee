"""One side of a retriever without what a graph cannot hold: no buckets of texts, no choices by value."""

from typing import Any

from torch import Tensor, nn

from splade.files import InputError
from splade.models.backbones.decoders import inputs
from splade.models.backbones.layouts import backbone_of, find_head
from splade.models.encoders.mlm import MlmEncoder
from splade.models.heads.pooling import pool_full_logits, pool_logits
from splade.models.retrievers.base import Retriever
from splade.models.retrievers.sparse import SparseRetriever

CHUNK = 4096  # terms of which logits [B, L, ·] are held at once


class SideGraph(nn.Module):
    """Weights [B, V] of token ids and mask [B, L], both int64: encoder, pooling, activation and refinement.

    The same as the retriever's own ``forward``, but for the limit of the largest weights, which is left to whoever
    turns them into sparse rows. A text without tokens gets zeros. InputError for a dense model, and for one whose
    ``forward`` or ``finish`` is a program of its own.
    """

    def __init__(self, model: Retriever, side: str) -> None:
        super().__init__()
        kind = type(model)
        if not isinstance(model, SparseRetriever):
            raise InputError(
                f"this model is a {kind.__name__}: export.target=onnx takes sparse models (config.matching_type)"
            )
        if (kind.forward, kind.finish) != (SparseRetriever.forward, SparseRetriever.finish):
            raise InputError(
                f"{kind.__name__} has a forward or finish of its own, which no graph is made of; put what it does to "
                "the weights into refine"
            )
        self.model, self.side = model, side
        self.encoder: Any = model.encoders["document" if model.shares_encoder else side]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Weights [B, V], float32."""
        if isinstance(self.encoder, MlmEncoder):
            weights = self._expanded(self.encoder, input_ids, attention_mask)
        else:
            weights = self.encoder(input_ids, attention_mask)
        return self.model.refine(self.side, weights, input_ids, attention_mask)

    def _expanded(self, encoder: MlmEncoder, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        pooling = self.model.term_pooling(self.side) or encoder.pooling
        pooled = encoder._pooled(input_ids, attention_mask)
        head = find_head(encoder.mlm)
        if head is None:
            return pool_full_logits(encoder.padded_states(input_ids, attention_mask), pooled, *pooling).float()
        base = backbone_of(encoder.mlm)
        hidden = base(**inputs(encoder.mlm, input_ids, attention_mask, encoder.attention)).last_hidden_state
        return pool_logits(head.transform(hidden), head.decoder, pooled, *pooling, chunk=CHUNK)
