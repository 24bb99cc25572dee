"""Queries that are looked up in a table: a weight for each of their tokens, with NumPy and ``tokenizers`` alone.

The table and the tokenizer lie in the folder of a model that `splade.models` saved. Starts without torch.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from splade.encoding.protocol import named_terms
from splade.encoding.reading import Reading, tokenizer_file
from splade.encoding.windows import Encoded, WindowEncoder
from splade.files import InputError, read_json
from splade.records import Provenance, Source, SparseBatch, SparseRows, Text, TokenBatch

logger = logging.getLogger(__name__)

DESCRIPTION, TABLE = "splade.json", Path("query_0_SparseStaticEmbedding", "model.safetensors")
KINDS = (("SpladeDoc", 1), ("SpladeIdf", 1), ("SpladeTable", 1))
"""The models whose queries are looked up, and the version of their description."""


class Table(NamedTuple):
    """The query side of a saved model."""

    weights: NDArray[np.float32]  # [V], ≥ 0
    tokenizer: str  # as JSON
    fingerprint: str  # of the document side
    settings: dict[str, Any]  # of the retriever
    stand_in: int  # the id that stands for a text without tokens


def table_in(folder: str | Path) -> Table | None:
    """The query table in the folder of a model; None where its queries need a model, or the folder lacks a part.

    Folders that were saved before fingerprints were written beside the weights lack one. InputError for a table that
    cannot be read.
    """
    folder = Path(folder)
    parts = (folder / DESCRIPTION, folder / TABLE, tokenizer_file(folder))
    if not all(part.is_file() for part in parts):
        return None
    about = read_json(folder / DESCRIPTION)
    if not isinstance(about, dict) or (about.get("kind"), about.get("format_version")) not in KINDS:
        return None
    own = about.get("query_table")
    if not isinstance(own, dict):
        return None
    weights = _weights(folder / TABLE, int(about["vocab_size"]))
    tokenizer = tokenizer_file(folder).read_text(encoding="utf-8")
    return Table(weights, tokenizer, str(own["fingerprint"]), dict(about["settings"]), int(own["stand_in"]))


class TableEncoder(WindowEncoder):
    """Queries as bags of their own tokens, each with the weight that ``table`` has for it.

    A token that comes several times counts once. Of the weights the ``top`` largest are kept, the lower term ids of
    equal ones, all where ≤ 0. ``max_length`` tokens of a text are read, special ones counted.
    """

    side, precision = "query", "float32"
    window = 1024

    def __init__(self, table: Table, *, max_length: int | None = None, top: int | None = None) -> None:
        self.table, self.n_cut = table, 0
        own = table.settings.get("max_length_q", table.settings.get("max_length", 256))
        self.max_length = int(own if max_length is None else max_length)
        self.top = int(table.settings.get("top_q", -1) if top is None else top)

    @property
    def vocab_size(self) -> int:
        """The number of terms."""
        return len(self.table.weights)

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model."""
        return self.table.fingerprint

    @cached_property
    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""
        reading = self.reading()
        return named_terms([reading.token(id) for id in range(reading.n_tokens)], self.vocab_size)

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""
        return self.reading().readings(tokens)

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:
        """The tokens that are read of ``text``, and what each of them gives ``terms``: itself, the table's weight."""
        tokens, wanted = self.reading().placed(text.text), np.asarray(terms, np.int64)
        gives = tokens.input_ids[:, None] == wanted  # [L, T]
        return Provenance(tokens, (Source("own tokens", "max", gives * self.table.weights[wanted]),))

    @cached_property
    def documents(self) -> "Documents":
        """The words of documents, without their weights."""
        return Documents(self)

    def reading(self) -> Reading:
        """Its way from texts to token ids."""
        return self._reading

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self.table.tokenizer, self.max_length, stand_in=self.table.stand_in)

    def encode(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts`` in their order, 1024 at a time."""
        for tokens in self._windows(texts):
            yield self.encode_tokens(tokens)
            if encoded is not None:
                encoded(len(tokens.ids))

    def encode_tokens(self, tokens: TokenBatch) -> SparseBatch:
        """Sparse vectors of texts that were tokenised."""
        rows = [self._row(ids[mask == 1]) for ids, mask in zip(tokens.input_ids, tokens.attention_mask, strict=True)]
        offsets = np.cumsum([0, *(len(columns) for columns, _ in rows)], dtype=np.int64)
        columns = np.concatenate([np.empty(0, np.int32), *(columns for columns, _ in rows)])
        weights = np.concatenate([np.empty(0, np.float32), *(weights for _, weights in rows)])
        return SparseBatch(tokens.ids, SparseRows(offsets, columns, weights), self.vocab_size)

    def _row(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        terms = np.unique(ids)
        terms = terms[self.table.weights[terms] > 0]
        if 0 < self.top < len(terms):
            terms = np.sort(terms[np.argsort(-self.table.weights[terms], kind="stable")[: self.top]])
        return terms.astype(np.int32), self.table.weights[terms]


class Documents:
    """The document side of a saved model of which the tokenizer alone is read: it tells words, and no weights."""

    side = "document"

    def __init__(self, encoder: TableEncoder) -> None:
        settings = encoder.table.settings
        length, prompt = int(settings.get("max_length", 256)), str(settings.get("prompt_d") or "")
        self._reading = Reading(encoder.table.tokenizer, length, prompt=prompt, stand_in=encoder.table.stand_in)
        self.terms = encoder.terms

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""
        return self._reading.readings(tokens)

    def encode_all(self, texts: Iterable[Text]) -> SparseBatch:  # noqa: ARG002 - the interface of encoders
        """InputError: that takes the model."""
        raise InputError("the weights of documents take the model; queries alone are looked up in a table")

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:  # noqa: ARG002 - the interface of encoders
        """The tokens that are read of ``text``; nothing tells what they give."""
        return Provenance(self._reading.placed(text.text), ())


def _weights(path: Path, vocab_size: int) -> NDArray[np.float32]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    weight = tensors.get("weight")
    if weight is None or weight.ndim != 1 or len(weight) > vocab_size:
        raise InputError(f"{path}: expected one tensor 'weight' with a number for each of {vocab_size} tokens")
    weights = np.pad(weight.astype(np.float32), (0, vocab_size - len(weight)))
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError(f"{path}: holds weights that are negative or no numbers; a token's weight must be 0 or above")
    return weights
