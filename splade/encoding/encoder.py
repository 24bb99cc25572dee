"""Texts to sparse vectors, batch by batch.

A thread of its own tokenises the texts, a window of some dozens of batches at a time. Within a window texts are sorted
by length and cut into batches of few tokens, so that little padding is computed. Batches are encoded, turned to CSR at
once, and handed on in the order of the texts. Memory is three windows of token ids, one batch of [B, V] weights, one
window of sparse rows.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from splade.data.tokens.tokenize import text_tokens, tokenize
from splade.encoding.ahead import ahead
from splade.encoding.compiled import Compiled
from splade.encoding.precision import has_int8, name_of, precision_of
from splade.encoding.reading import Reading, reading_of
from splade.encoding.terms import model_terms, readings
from splade.encoding.windows import Encoded, WindowEncoder
from splade.models import Retriever
from splade.models.backbones.buckets import budget_for, length_buckets
from splade.models.backbones.devices import own_device
from splade.models.backbones.gpu import takes_tf32
from splade.models.backbones.int8 import in_int8, through
from splade.models.backbones.layouts import backbone_of, find_head
from splade.models.encoders.mlm import MlmEncoder
from splade.models.heads.sparse_head import concatenated, in_places, sparse_rows
from splade.records import Provenance, SparseBatch, SparseRows, Text, TokenBatch

logger = logging.getLogger(__name__)

WINDOW = 32  # batches that are tokenised and sorted by length together


class Encoder(WindowEncoder):
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

    @cached_property
    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""
        return model_terms(self.model)

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them, see :func:`splade.encoding.terms.readings`."""
        return readings(self.model.tokenizer(self.side), tokens)

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:
        """The tokens that are read of ``text``, and what each of them gives T ``terms``, numbers of the vocabulary.

        Computed once more, as `encode` computes; a model that does not tell has no sources.
        """
        tokens = text_tokens(self.model.tokenizer(self.side), text, self.max_length, self.model.prompt(self.side))
        tell = getattr(self.model, "sources", None)
        if tell is None:
            return Provenance(tokens, ())
        self.model.to(self.device)
        ids = torch.from_numpy(tokens.input_ids).unsqueeze(0).to(self.device)  # [1, L]
        wanted = torch.from_numpy(np.asarray(terms, np.int64)).to(self.device)  # [T]
        with self._computing(), torch.inference_mode():
            return Provenance(tokens, tuple(tell(self.side, ids, torch.ones_like(ids), wanted)))

    @property
    def vocab_size(self) -> int:
        """The number of terms."""
        return self.model.vocab_size

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model."""
        return self.model.fingerprint()

    @property
    def window(self) -> int:
        """The number of texts that are tokenised and sorted by length together."""
        return WINDOW * self.batch_size

    def reading(self) -> Reading:
        """Its way from texts to token ids, that any number of threads may go at a time."""
        return self._reading

    @cached_property
    def _reading(self) -> Reading:
        return reading_of(self.model.tokenizer(self.side), self.max_length, self.model.prompt(self.side))

    def _read(self, texts: Sequence[Text]) -> TokenBatch:
        return tokenize(self.model.tokenizer(self.side), texts, self.max_length, self.model.prompt(self.side))

    def encode_tokens(self, tokens: TokenBatch) -> SparseBatch:
        """Sparse vectors of texts that were tokenised, in their order; of one thread at a time."""
        self.model.to(self.device)
        return self._encode_window(tokens, lambda _: None)

    def _encode_window(self, tokens: TokenBatch, encoded: Encoded) -> SparseBatch:
        lengths = tokens.attention_mask.sum(axis=1)
        buckets = length_buckets(lengths, self.budget, self.batch_size)
        parts = []
        with self._computing():  # once for the window: weights are converted once
            for chosen in buckets:
                parts.append(self._encode_batch(tokens, chosen))
                encoded(len(chosen))
        rows = in_places(concatenated(parts), np.concatenate(buckets))
        return SparseBatch(tokens.ids, rows, self.model.vocab_size)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """A block in which the model is in evaluation mode and computes in the precision of this encoder."""
        was_training = self.model.training
        self.model.eval()
        try:
            with self._precision(), through(self._module, self._backbone):
                yield
        finally:
            self.model.train(was_training)

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
