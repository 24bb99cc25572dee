"""Who says how well a document answers a query: a reranker, or a retriever, the trained one itself included."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from splade.encoding import Encoder
from splade.encoding.precision import native_type
from splade.engines import kind_of
from splade.files import InputError
from splade.models import SparseRetriever
from splade.models.backbones.devices import own_device
from splade.models.rerankers import CrossEncoder, Pairwise, Reranker, load_reranker
from splade.models.rerankers.base import DESCRIPTION
from splade.models.retrievers.base import weights_digest
from splade.records import SparseBatch, Text

KEPT_WEIGHTS = 1 << 26  # 512 MiB


class Group(NamedTuple):
    """A query and the documents to score for it."""

    query: Text
    documents: Sequence[Text]


class Vector(NamedTuple):
    """The weights of a text's terms."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]


class Teacher(Protocol):
    """Scores documents for queries; higher is better."""

    def about(self) -> dict[str, Any]:
        """Describe this teacher so that its scores can be told from another's (JSON values)."""

    def scores(self, groups: Sequence[Group]) -> list[NDArray[np.float32]]:
        """The scores of each group's documents, float32 [documents] each."""


class RerankerTeacher:
    """A reranker as teacher: the one of a folder that we wrote, or of a plain folder or hub name.

    The second is of the given ``kind``, a cross-encoder where None.
    ``batch_size`` prompts are scored at once, those of like length of all groups together. ``max_length`` None: as it
    was trained. ``fp16`` is half precision on CUDA. The GPU is used where there is one.
    """

    def __init__(
        self,
        model_type_or_dir: str,
        kind: str | None = None,
        *,
        max_length: int | None = None,
        batch_size: int = 32,
        fp16: bool = False,
    ) -> None:
        if not (Path(model_type_or_dir) / DESCRIPTION).is_file():
            kind = kind or CrossEncoder.kind
        lengths = {} if max_length is None else {"max_length": max_length}
        reranker = load_reranker(model_type_or_dir, kind, **lengths)
        self.reranker = reranker.to(own_device()).eval()
        self.batch_size, self.fp16 = batch_size, fp16

    def about(self) -> dict[str, Any]:
        """Kind, settings, precision and weights."""
        return about_reranker(self.reranker, self.fp16)

    def scores(self, groups: Sequence[Group]) -> list[NDArray[np.float32]]:
        """The reranker's scores; one that compares documents compares those of one group."""
        # A pairwise reranker knows the documents of a query by the query's text, which two groups may share.
        together = [[group] for group in groups] if isinstance(self.reranker, Pairwise) else [groups]
        return [scores for part in together for scores in self._scores(part)]

    def _scores(self, groups: Sequence[Group]) -> list[NDArray[np.float32]]:
        pairs = [(query.text, document.text) for query, documents in groups for document in documents]
        with half_precision(self.reranker, self.fp16):
            found = self.reranker.score(pairs, self.batch_size).numpy()
        ends = np.cumsum([len(group.documents) for group in groups])
        return np.split(found, ends[:-1])


class RetrieverTeacher:
    """A sparse retriever as teacher, such as the one that mined: the inner products of its vectors.

    Documents are known by their ids, and a document's vector is kept for later groups: of the vectors that were used
    last, up to ``keep`` weights (8 bytes each) beside those of one call. Other arguments as for
    :class:`splade.encoding.Encoder`.
    """

    def __init__(
        self, model: SparseRetriever, *, batch_size: int = 32, fp16: bool = False, keep: int = KEPT_WEIGHTS
    ) -> None:
        if kind_of(model) != "sparse":
            raise InputError("config.teacher.type=retriever needs a sparse retriever, and this one is dense")
        self.model, self.keep = model, keep
        self.encoders = {side: Encoder(model, side, batch_size=batch_size, fp16=fp16) for side in ("query", "document")}
        self._known: dict[str, Vector] = {}  # the one that was used last is last

    def about(self) -> dict[str, Any]:
        """Lengths, precision and weights."""
        lengths = {side: encoder.max_length for side, encoder in self.encoders.items()}
        precision = self.encoders["document"].precision
        weights = weights_digest(self.model.state_dict().items())
        return {"kind": "retriever", **lengths, "precision": precision, "weights": weights}

    def scores(self, groups: Sequence[Group]) -> list[NDArray[np.float32]]:
        """The inner products of each group's query and documents."""
        documents = self._documents({document.id: document for _, documents in groups for document in documents})
        queries = self.encoders["query"].encode_all([group.query for group in groups])
        return [
            inner_products(query, [documents[document.id] for document in group.documents], queries.vocab_size)
            for query, group in zip(vectors_of(queries), groups, strict=True)
        ]

    def _documents(self, texts: Mapping[str, Text]) -> dict[str, Vector]:
        """The vectors of ``texts``; texts that were not seen before are encoded."""
        new = [text for id, text in texts.items() if id not in self._known]
        encoded = vectors_of(self.encoders["document"].encode_all(new)) if new else ()
        self._known.update(zip((text.id for text in new), encoded, strict=True))
        found = {id: self._known.pop(id) for id in texts}
        self._known.update(found)
        excess = sum(len(vector.terms) for vector in self._known.values()) - self.keep
        for id in list(self._known):
            if excess <= 0:
                break
            excess -= len(self._known.pop(id).terms)
        return found


def about_reranker(reranker: Reranker, fp16: bool) -> dict[str, Any]:
    """Describe ``reranker`` so that its scores can be told from another's: kind, settings, precision and weights."""
    settings = {"kind": reranker.kind, **reranker.settings(), "fp16": fp16}
    return settings | {"weights": weights_digest(reranker.state_dict().items())}


def vectors_of(batch: SparseBatch) -> Iterator[Vector]:
    """The rows of ``batch``, each with arrays of its own."""
    offsets, columns, weights = batch.rows
    for start, stop in pairwise(offsets.tolist()):
        yield Vector(columns[start:stop].copy(), weights[start:stop].copy())


def inner_products(query: Vector, documents: Sequence[Vector], vocab_size: int) -> NDArray[np.float32]:
    """``query`` with each of ``documents``: float32 [documents]."""
    weights = np.zeros(vocab_size, np.float32)
    weights[query.terms] = query.weights
    return np.array([document.weights @ weights[document.terms] for document in documents], np.float32)


def half_precision(reranker: Reranker, fp16: bool) -> AbstractContextManager[object]:
    """Autocast where half precision is asked for and a GPU has it; bfloat16 if it can (T5 overflows fp16)."""
    if not fp16 or reranker.device.type != "cuda":
        return nullcontext()
    used = native_type(torch.bfloat16, reranker.device)
    return nullcontext() if used is torch.float32 else torch.autocast("cuda", used)
