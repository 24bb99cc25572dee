"""Texts to sparse vectors by onnxruntime, without torch: the interface of `splade.encoding.Encoder`.

Texts are tokenised in a thread of their own, sorted by length within a window, and cut into batches of few tokens. The
graph gives weights [B, V]; their non-zeros are kept at once.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load_file

from splade.batches import budget_for, concatenated, dense_rows, in_places, largest_entries, length_buckets
from splade.encoding.ahead import ahead
from splade.encoding.protocol import TextEncoder
from splade.encoding.reading import Reading
from splade.encoding.tables import Table, TableEncoder
from splade.encoding.windows import Encoded, WindowEncoder
from splade.files import InputError
from splade.onnx.folder import OnnxModel
from splade.records import Provenance, SparseBatch, SparseRows, Text, TokenBatch

logger = logging.getLogger(__name__)

WINDOW = 32  # batches that are tokenised and sorted by length together


def onnx_encoder(model: OnnxModel, side: str, **options: Any) -> TextEncoder:
    """The encoder of one side of an exported model; ``options`` as of `OnnxEncoder`. A table needs no graph."""
    table = model.side(side).get("table")
    if table is None:
        return OnnxEncoder(model, side, **options)
    weights = load_file(model.folder / table)["weight"].astype(np.float32)
    stand_in = int(model.about["model"]["tokenizer"]["stand_in"])
    settings = {**model.settings, "max_length_q": model.max_length(side)}
    return TableEncoder(Table(weights, model.tokenizer_json(), model.fingerprint(), settings, stand_in))


class OnnxEncoder(WindowEncoder):
    """One side of an exported model as a function from texts to sparse vectors, computed by onnxruntime on the CPU.

    At most ``batch_size`` texts are encoded at once, and at most ``batch_tokens`` tokens counting padding, but one
    text at least. ``max_length`` tokens of a text are read (None: as the model says); ``n_cut`` counts the longer
    texts among those read so far. ``n_threads``: those of onnxruntime, None for as many as it chooses.
    ValueError for numbers below 1, InputError where onnxruntime is not installed or cannot read the graph.
    """

    def __init__(
        self,
        model: OnnxModel,
        side: str,
        *,
        batch_size: int = 32,
        max_length: int | None = None,
        batch_tokens: int | None = None,
        n_threads: int | None = None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("batch_tokens", batch_tokens), ("n_threads", n_threads)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        about = model.side(side)
        if "graph" not in about:
            raise ValueError(f"the {side} side of {model.folder} is a table; `onnx_encoder` looks it up")
        self.model, self.side, self.batch_size = model, side, batch_size
        self.max_length = max_length or model.max_length(side)
        self.precision = str(about["precision"])
        self.n_cut = 0
        self._pads = bool(about.get("pads", True))
        self._budget = budget_for("cpu")
        if batch_tokens is not None:
            self._budget = self._budget._replace(tokens=batch_tokens)
        self._session = _session(model.folder / about["graph"], n_threads)

    @property
    def vocab_size(self) -> int:
        """The number of terms."""
        return self.model.vocab_size

    @cached_property
    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""
        return self.model.terms()

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""
        return self._reading.readings(tokens)

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:  # noqa: ARG002 - a graph gives pooled weights
        """The tokens that are read of ``text``: own words are told, but not which position gave a term's weight."""
        return Provenance(self._reading.placed(text.text), ())

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model that was exported."""
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
        return self.model.reading(self.side, self.max_length)

    def encode(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts`` in their order, a window of ``32 * batch_size`` at a time.

        ``encoded`` is called after every batch with the number of its texts.
        """
        for tokens in ahead(self._windows(texts)):
            yield self.encode_tokens(tokens, encoded=encoded)

    def encode_tokens(self, tokens: TokenBatch, *, encoded: Encoded | None = None) -> SparseBatch:
        """Sparse vectors of texts that were tokenised, in their order."""
        parts, buckets = [], self._buckets(tokens.attention_mask.sum(axis=1))
        for chosen in buckets:
            parts.append(self._rows(tokens, chosen))
            if encoded is not None:
                encoded(len(chosen))
        if not buckets:
            return SparseBatch(tokens.ids, concatenated([]), self.vocab_size)
        rows = in_places(concatenated(parts), np.concatenate(buckets))
        return SparseBatch(tokens.ids, rows, self.vocab_size)

    def _buckets(self, lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Places of texts of ``lengths`` [B] to be computed together; of one length each where padding would count."""
        if self._pads:
            return length_buckets(lengths, self._budget, self.batch_size)
        found = []
        for length in np.unique(lengths):
            own = np.flatnonzero(lengths == length)
            most = max(min(self.batch_size, self._budget.tokens // max(int(length), 1)), 1)
            found += [own[start : start + most] for start in range(0, len(own), most)]
        return found

    def _rows(self, tokens: TokenBatch, chosen: NDArray[np.int64]) -> SparseRows:
        longest = max(int(tokens.attention_mask[chosen].sum(axis=1).max()), 1)
        given = {
            "input_ids": np.ascontiguousarray(tokens.input_ids[chosen, :longest]),
            "attention_mask": np.ascontiguousarray(tokens.attention_mask[chosen, :longest]),
        }
        weights = self._session.run(None, given)[0]  # [B, V]
        return largest_entries(dense_rows(weights), self.model.top(self.side))


def _session(path: Path, n_threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{path}: a model as an ONNX graph is computed by onnxruntime, which cannot be imported ({error}). "
            "Install it: pip install 'splade[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its errors are raised as well
    if n_threads is not None:
        options.intra_op_num_threads = n_threads
    if not path.is_file():
        raise InputError(f"{path}: no such file, though the manifest names it. Export again")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but Exception
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: onnxruntime cannot read this graph ({reason}). Export again") from error
