"""The base of sparse retrievers: a vector has one weight ≥ 0 for each term of a vocabulary, most of them 0."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from splade.files import InputError
from splade.models.encoders.mlm import MlmEncoder, Pooling
from splade.models.heads.sparse_head import sparse_rows
from splade.models.heads.tops import keep_largest, largest_entries
from splade.models.retrievers.base import Retriever
from splade.records import Source, SparseRows


class SparseRetriever(Retriever):
    """A query side and a document side over one vocabulary; its vectors are searched in an inverted index.

    Of a vector the ``top_q`` or ``top_d`` largest weights are kept, all where ≤ 0. ``pooling_q`` pools the queries of
    a shared encoder, by default as documents are pooled. Other arguments as in :class:`Retriever`.
    """

    engine: ClassVar[str] = "inverted"
    is_sparse: ClassVar[bool] = True

    def __init__(
        self,
        document: MlmEncoder,
        query: nn.Module | None = None,
        *,
        top_q: int = -1,
        top_d: int = -1,
        pooling_q: Pooling | None = None,
        **options: Any,
    ) -> None:
        super().__init__(document, query, **options)
        self.tops = {"document": top_d, "query": top_q}
        self._pooling_q = pooling_q

    @torch.no_grad()
    def rows(self, side: str, input_ids: Tensor, attention_mask: Tensor) -> SparseRows:
        """As :meth:`forward`, the non-zeros alone, on the CPU; nothing of size [B, V] where no weight is refined."""
        encoder = self._encoder(side)
        plain = (type(self).forward, type(self).refine) == (SparseRetriever.forward, SparseRetriever.refine)
        rows: Any = getattr(encoder, "rows", None)
        if plain and rows is not None:
            return largest_entries(rows(input_ids, attention_mask, *self._encoder_options(side)), self.tops[side])
        return sparse_rows(self(side, input_ids, attention_mask))

    @torch.no_grad()
    def sources(self, side: str, input_ids: Tensor, attention_mask: Tensor, terms: Tensor) -> list[Source]:
        """The parts that make the weights of T ``terms`` in one text, ids and mask [1, L], by position.

        Pooled and summed, they are the weights of the terms that the vector has; terms that it has not may have
        contributions all the same. None for an encoder that does not tell. A subclass that overrides :meth:`refine`
        overrides this too, where refining changes weights that stay above 0.
        """
        encoder: Any = self._encoder(side)
        if not hasattr(encoder, "contributions"):
            return []
        found = encoder.contributions(input_ids, attention_mask, terms, *self._encoder_options(side))
        pooling = self.term_pooling(side)
        return [source("own tokens", "max", found) if pooling is None else source("head", pooling.agg, found)]

    def finish(self, side: str, encoded: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The vectors [B, V] of one ``side``: the largest of the refined weights that its encoder gave."""
        return keep_largest(self.refine(side, encoded, input_ids, attention_mask), self.tops[side])

    def refine(self, side: str, weights: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # noqa: ARG002
        """The vectors [B, V] made of an encoder's ``weights`` [B, V]; here unchanged, for subclasses to override."""
        return weights

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), **{f"top_{side[0]}": top for side, top in self.tops.items() if top > 0}}

    def document_settings(self) -> dict[str, Any]:
        top = self.tops["document"]
        return {**super().document_settings(), **({"top": top} if top > 0 else {})}

    @property
    def pools_alike(self) -> bool:
        """True where a shared encoder pools queries and documents in the same way."""
        return self._pooling_q is None

    def term_pooling(self, side: str) -> Pooling | None:
        """The way from logits to weights on this side; None where it has no masked-language-model head."""
        self._check_side(side)
        if side == "query" and self._pooling_q is not None:
            return self._pooling_q
        encoder = self._encoder(side)
        return encoder.pooling if isinstance(encoder, MlmEncoder) else None

    def _encoder(self, side: str) -> nn.Module:
        return self.encoders["document" if self.shares_encoder else side]

    def _encoder_options(self, side: str) -> tuple[Pooling, ...]:
        """The pooling of queries, for a shared encoder; empty where it pools by its own setting."""
        return (self._pooling_q,) if side == "query" and self._pooling_q and self.shares_encoder else ()

    def _check_widths(self) -> None:
        super()._check_widths()
        if len(self._tokenizer) > self.vocab_size:
            raise InputError(
                f"the tokenizer has {len(self._tokenizer)} tokens but the model only {self.vocab_size} terms; "
                "set config.tokenizer_type to the model's own tokenizer"
            )


def source(name: str, pooling: str, weights: Tensor) -> Source:
    """``weights`` [L, T] of a part of a model as a `Source`."""
    return Source(name, pooling, weights.float().cpu().numpy())
