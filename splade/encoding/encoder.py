"""Texts to sparse vectors, batch by batch.

Texts are tokenised in a thread of its own, once per window of some dozens of batches, sorted by length inside the
window and cut into batches of few tokens so that little padding is computed, encoded, turned to CSR at once, and handed
on in the order they came. Memory is three windows of token ids, one batch of [B, V] weights, one window of sparse rows.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splade.data.tokenize import tokenize
from splade.encoding.ahead import ahead
from splade.encoding.precision import name_of, precision_of
from splade.models import SparseRetriever
from splade.models.buckets import budget_for, length_buckets
from splade.records import SparseBatch, SparseRows, Text, TokenBatch

logger = logging.getLogger(__name__)

WINDOW = 32  # batches that are tokenised and sorted by length together


class Encoder:
    """One side of a model as a function from texts to sparse vectors.

    At most ``batch_size`` texts are encoded at once, and at most ``batch_tokens`` tokens counting padding (one
    text at least; by default what suits the device, see :data:`splade.models.buckets.BUDGETS`). ``fp16`` and
    ``bf16`` compute the products of the transformer and its head in half precision, where the device has it natively
    (elsewhere float32 is used, with a warning); pooled weights are float32 all the same.
    ``max_length`` tokens of a text are read (the model's own limit where None). ``device`` defaults to CUDA where
    there is one.
    """

    def __init__(
        self,
        model: SparseRetriever,
        side: str,
        *,
        batch_size: int = 32,
        fp16: bool = False,
        bf16: bool = False,
        max_length: int | None = None,
        device: str | torch.device | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        if side not in ("query", "document"):
            raise ValueError(f"side must be 'query' or 'document', got {side!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if batch_tokens is not None and batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, got {batch_tokens}")
        self.model, self.side, self.batch_size = model, side, batch_size
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.budget = budget_for(self.device.type)
        if batch_tokens is not None:
            self.budget = self.budget._replace(tokens=batch_tokens)
        self.max_length = max_length or model.max_length(side)
        self.dtype = precision_of(self.device, fp16=fp16, bf16=bf16)

    @property
    def precision(self) -> str:
        """What the transformer computes in."""
        return name_of(self.dtype)

    def encode(self, texts: Iterable[Text]) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts`` in their order, a window of ``32 * batch_size`` at a time.

        Texts are read in a thread, up to two windows ahead of the one that is encoded.
        """
        self.model.to(self.device)
        for tokens in ahead(self._windows(texts)):
            yield self._encode_window(tokens)

    def encode_all(self, texts: Iterable[Text]) -> SparseBatch:
        """Sparse vectors of all ``texts`` in one batch; for query sets and other small collections."""
        batches = list(self.encode(texts))
        if not batches:
            return SparseBatch((), _rows_in_order([], np.empty(0, np.int64)), self.model.vocab_size)
        ids = tuple(text_id for batch in batches for text_id in batch.ids)
        return SparseBatch(ids, _concatenate([batch.rows for batch in batches]), self.model.vocab_size)

    def _windows(self, texts: Iterable[Text]) -> Iterator[TokenBatch]:
        stream, tokenizer, prompt = iter(texts), self.model.tokenizer(self.side), self.model.prompt(self.side)
        while window := list(islice(stream, WINDOW * self.batch_size)):
            yield tokenize(tokenizer, window, self.max_length, prompt)

    def _encode_window(self, tokens: TokenBatch) -> SparseBatch:
        lengths = tokens.attention_mask.sum(axis=1)
        buckets = length_buckets(lengths, self.budget, self.batch_size)
        was_training = self.model.training
        self.model.eval()
        try:
            with self._precision():  # once for the window: weights are converted once
                parts = [self._encode_batch(tokens, chosen) for chosen in buckets]
        finally:
            self.model.train(was_training)
        return SparseBatch(tokens.ids, _rows_in_order(parts, np.concatenate(buckets)), self.model.vocab_size)

    @torch.inference_mode()
    def _encode_batch(self, tokens: TokenBatch, chosen: NDArray[np.int64]) -> SparseRows:
        longest = max(int(tokens.attention_mask[chosen].sum(axis=1).max()), 1)
        input_ids = torch.from_numpy(tokens.input_ids[chosen, :longest]).to(self.device)  # [B, L]
        mask = torch.from_numpy(tokens.attention_mask[chosen, :longest]).to(self.device)
        return sparse_rows(self.model(self.side, input_ids, mask))

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)


def sparse_rows(weights: Tensor) -> SparseRows:
    """The non-zeros of non-negative ``weights`` [N, V], on any device, as CSR rows on the CPU.

    Raises ValueError where a weight is NaN or infinite: such a vector must never reach an index.
    """
    dense = weights.float().cpu().numpy()
    places = np.flatnonzero(dense != 0)  # several times faster than the nonzero of NumPy or torch
    values = dense.reshape(-1)[places]
    if not np.isfinite(values).all():
        raise ValueError(
            "the model gives weights that are NaN or infinite; train with a lower learning rate or without fp16"
        )
    rows, columns = np.divmod(places, dense.shape[1])
    return SparseRows(_offsets(np.bincount(rows, minlength=len(dense))), columns.astype(np.int32), values)


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _concatenate(parts: list[SparseRows]) -> SparseRows:
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    columns = np.concatenate([part.columns for part in parts])
    return SparseRows(_offsets(counts), columns, np.concatenate([part.weights for part in parts]))


def _rows_in_order(parts: list[SparseRows], order: NDArray[np.int64]) -> SparseRows:
    """The rows of ``parts``, row i of them belonging at place ``order[i]``, in the places' order."""
    if not parts:
        return SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    together = _concatenate(parts)
    counts = np.empty(len(order), np.int64)
    counts[order] = np.diff(together.offsets)
    starts = np.empty(len(order), np.int64)
    starts[order] = together.offsets[:-1]
    offsets = _offsets(counts)
    take = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    return SparseRows(offsets, together.columns[take], together.weights[take])
