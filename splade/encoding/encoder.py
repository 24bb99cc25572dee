"""Texts to sparse vectors, batch by batch.

A thread of its own tokenises the texts, a window of some dozens of batches at a time. Within a window texts are sorted
by length and cut into batches of few tokens, so that little padding is computed. Batches are encoded, turned to CSR at
once, and handed on in the order of the texts. Memory is three windows of token ids, one batch of [B, V] weights, one
window of sparse rows.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from splade.data.tokens.tokenize import tokenize
from splade.encoding.ahead import ahead
from splade.encoding.compiled import Compiled
from splade.encoding.precision import has_int8, name_of, precision_of
from splade.encoding.protocol import named_terms
from splade.encoding.reading import Reading, reading_of
from splade.models import Retriever
from splade.models.backbones.buckets import budget_for, length_buckets
from splade.models.backbones.devices import own_device
from splade.models.backbones.gpu import takes_tf32
from splade.models.backbones.int8 import in_int8, through
from splade.models.backbones.layouts import backbone_of, find_head
from splade.models.encoders.mlm import MlmEncoder
from splade.models.heads.sparse_head import concatenated, in_places, sparse_rows
from splade.records import SparseBatch, SparseRows, Text, TokenBatch

logger = logging.getLogger(__name__)

Encoded = Callable[[int], object]
"""Told how many texts have been encoded since it was called before."""
WINDOW = 32  # batches that are tokenised and sorted by length together


class Encoder:
    """One side of a model as a function from texts to sparse vectors.

    At most ``batch_size`` texts are encoded at once, and at most ``batch_tokens`` tokens counting padding, but one
    text at least. The default of ``batch_tokens`` depends on the device
    (:data:`splade.models.backbones.buckets.BUDGETS`). ``fp16`` and ``bf16`` compute the products of the transformer and
    its head in half precision, on devices that have it natively (elsewhere float32 is used, with a warning); pooled
    weights are float32 all the same. ``int8`` computes the linear layers of the transformer in 8 bits on processors
    that do so fast; vectors change. ``compile`` has torch.compile make the transformer faster, if it can.
    ``max_length`` tokens of a text are read (None: the model's own limit); ``n_cut`` counts the longer texts among
    those read so far. ``device`` defaults to this process's GPU, or the CPU.
    """

    def __init__(
        self,
        model: Retriever,
        side: str,
        *,
        batch_size: int = 32,
        fp16: bool = False,
        bf16: bool = False,
        int8: bool = False,
        compile: bool = False,
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
        self.device = own_device() if device is None else torch.device(device)
        self.budget = budget_for(self.device.type)
        if batch_tokens is not None:
            self.budget = self.budget._replace(tokens=batch_tokens)
        self.max_length = max_length or model.max_length(side)
        self.n_cut = 0
        self.dtype = precision_of(self.device, fp16=fp16, bf16=bf16)
        self._int8 = self._in_int8() if int8 else None
        self._backbone = self._compiled() if compile else self._int8

    @property
    def precision(self) -> str:
        """The name of the number format that the transformer computes in."""
        if self._int8 is not None:
            return "int8"
        return "tf32" if self.dtype == torch.float32 and takes_tf32(self.device) else name_of(self.dtype)

    def encode(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts`` in their order, a window of ``32 * batch_size`` at a time.

        Texts are read in a thread, up to two windows ahead of the one that is encoded. ``encoded`` is called after
        every batch with the number of its texts, which says earlier than the windows how far the work is.
        """
        self.model.to(self.device)
        for tokens in ahead(self._windows(texts)):
            yield self._encode_window(tokens, encoded or (lambda _: None))

    def encode_all(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> SparseBatch:
        """Sparse vectors of all ``texts`` in one batch; for query sets and other small collections."""
        batches = list(self.encode(texts, encoded=encoded))
        if not batches:
            return SparseBatch((), concatenated([]), self.model.vocab_size)
        ids = tuple(text_id for batch in batches for text_id in batch.ids)
        return SparseBatch(ids, concatenated([batch.rows for batch in batches]), self.model.vocab_size)

    def _windows(self, texts: Iterable[Text]) -> Iterator[TokenBatch]:
        stream, tokenizer, prompt = iter(texts), self.model.tokenizer(self.side), self.model.prompt(self.side)
        while window := list(islice(stream, WINDOW * self.batch_size)):
            tokens = tokenize(tokenizer, window, self.max_length, prompt)
            self.n_cut += tokens.n_cut
            yield tokens

    def count_cut(self, texts: Iterable[Text]) -> None:
        """Count the ``texts`` that are longer than the tokens read, as encoding them would."""
        for _ in self._windows(texts):
            pass

    def tell_cut(self, name: str, before: int, n_texts: int) -> int:
        """The number of texts that were cut since ``n_cut`` was ``before``; said of ``name``, of whose they are."""
        n_cut = self.n_cut - before
        if n_cut:
            plural, address = ("queries", "config.max_length_q") if self.side == "query" else ("documents", "")
            logger.warning(
                "%s: %d of %d %s are longer than the %d tokens that are read (%s); the rest of them is left out",
                name, n_cut, n_texts, plural, self.max_length, address or "config.max_length",
            )  # fmt: skip
        return n_cut

    @property
    def vocab_size(self) -> int:
        """The number of terms."""
        return self.model.vocab_size

    @cached_property
    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""
        tokenizer = self.model.tokenizer("document")
        return named_terms(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))), self.vocab_size)

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model."""
        return self.model.fingerprint()

    def reading(self) -> Reading:
        """Its way from texts to token ids, that any number of threads may go at a time."""
        return reading_of(self.model.tokenizer(self.side), self.max_length, self.model.prompt(self.side))

    def encode_tokens(self, tokens: TokenBatch) -> SparseBatch:
        """Sparse vectors of texts that were tokenised, in their order; of one thread at a time."""
        self.model.to(self.device)
        return self._encode_window(tokens, lambda _: None)

    def _encode_window(self, tokens: TokenBatch, encoded: Encoded) -> SparseBatch:
        lengths = tokens.attention_mask.sum(axis=1)
        buckets = length_buckets(lengths, self.budget, self.batch_size)
        was_training = self.model.training
        self.model.eval()
        try:
            with (
                self._precision(),
                through(self._module, self._backbone),
            ):  # once for the window: weights are converted once
                parts = []
                for chosen in buckets:
                    parts.append(self._encode_batch(tokens, chosen))
                    encoded(len(chosen))
        finally:
            self.model.train(was_training)
        rows = in_places(concatenated(parts), np.concatenate(buckets))
        return SparseBatch(tokens.ids, rows, self.model.vocab_size)

    @torch.inference_mode()
    def _encode_batch(self, tokens: TokenBatch, chosen: NDArray[np.int64]) -> SparseRows:
        longest = max(int(tokens.attention_mask[chosen].sum(axis=1).max()), 1)
        input_ids = torch.from_numpy(tokens.input_ids[chosen, :longest]).to(self.device)  # [B, L]
        mask = torch.from_numpy(tokens.attention_mask[chosen, :longest]).to(self.device)
        if isinstance(self.model, Retriever):
            return self.model.rows(self.side, input_ids, mask)
        return sparse_rows(self.model(self.side, input_ids, mask))  # a class of the user's own

    @property
    def _module(self) -> MlmEncoder | None:
        """The part of the model that has a transformer, where this side has one."""
        sides = dict(getattr(self.model, "encoders", {}))
        module = sides.get(self.side, sides.get("document"))
        return module if isinstance(module, MlmEncoder) else None

    def _has_body(self, address: str) -> bool:
        """False, with a warning, where the model runs only as a whole, so that its transformer cannot be replaced."""
        if self._module is not None and find_head(self._module.mlm) is None:
            logger.warning("%s: this model goes through its full logits, which it leaves as they are", address)
            return False
        return True

    def _in_int8(self) -> nn.Module | None:
        if not has_int8(self.device):
            logger.warning("config.int8: there are no fast 8-bit products on %s; encoding without them", self.device)
            return None
        return in_int8(backbone_of(self._module.mlm)) if self._module and self._has_body("config.int8") else None

    def _compiled(self) -> nn.Module | None:
        if self._module is None:
            logger.warning("config.compile: this side of the model has no language model to compile; left as it is")
            return self._int8
        if not self._has_body("config.compile"):
            return self._int8
        return Compiled(self._int8 or backbone_of(self._module.mlm))

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)
