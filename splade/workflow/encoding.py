"""Vectors that a model makes: of a collection, for an index, and of queries, in the terms of an index."""

import logging
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from splade.data.collections.collection import Collection, collection_state
from splade.data.text_files.formats import TITLE_TEXT
from splade.data.vectors.shards import Shard
from splade.dense.index import in_matrix
from splade.encoding import Encoder
from splade.encoding.precision import has_int8
from splade.encoding.shards import ShardWriter
from splade.encoding.terms import model_terms
from splade.engines import Documents, Queries, kind_of
from splade.engines.bm25 import is_bm25
from splade.engines.protocol import Kind, Terms
from splade.files import InputError, open_binary
from splade.indexing import Vocabulary
from splade.models import Retriever
from splade.progress import progress
from splade.records import SparseBatch, Text
from splade.workflow.given_vectors import in_index_terms, numbers_in

logger = logging.getLogger(__name__)


def encoder_from(
    cfg: DictConfig, model: Retriever, side: str, device: str | None = None, *, kind: Kind = "sparse"
) -> Encoder:
    """The encoder of one side, with the batch size and precision of the config; ``device`` as for `Encoder`.

    InputError for a dense model, unless ``kind`` says that its vectors are wanted.
    """
    if kind != "dense" and kind_of(model) == "dense":
        raise InputError(
            "this model is dense (config.matching_type): its vectors have no zeros and cannot go into an inverted "
            "index; use a sparse one, such as splade. splade.index, splade.retrieve, splade.beir_eval and splade.all "
            "take dense models"
        )
    chosen = cfg.encoder
    ways = {name: chosen[name] for name in ("fp16", "bf16", "int8", "compile")}
    return Encoder(model, side, batch_size=chosen.batch_size, device=device, **ways)


def uses_int8(cfg: DictConfig) -> bool:
    """True where the config asks for 8-bit products and this machine, having no CUDA GPU, computes them fast."""
    return bool(cfg.encoder.int8) and not torch.cuda.is_available() and has_int8(torch.device("cpu"))


def encoded_documents(encoder: Encoder, collection: Collection) -> Documents:
    """The vectors of ``collection`` as documents, of the kind that the model makes."""

    def batches(start: int) -> Iterable[Any]:
        vectors = collection_vectors(encoder, collection, start)
        return (in_matrix(batch) for batch in vectors) if kind_of(model) == "dense" else vectors

    model, origin = encoder.model, origin_of(encoder, collection)

    def n_cut(done: int, n_texts: int) -> int:
        encoder.count_cut(islice(collection, done))
        return encoder.tell_cut(str(collection.source), 0, n_texts)

    vocabulary = None if kind_of(model) == "dense" else Vocabulary(model_terms(model))
    return Documents(batches, model.vocab_size, vocabulary, model.fingerprint(), origin, n_cut)


def collection_vectors(encoder: Encoder, collection: Collection, start: int = 0) -> Iterator[SparseBatch]:
    """The vectors of ``collection`` from document number ``start`` on; shows its progress."""
    return _vectors(encoder, collection, range(start, len(collection)), "index", start)


def origin_of(encoder: Encoder, collection: Collection) -> dict[str, Any]:
    """Describe the vectors of ``collection`` so that they can be told from others of the same model."""
    origin = collection_state(collection) | {"max_length": encoder.max_length}
    if encoder.precision != "float32":
        origin["precision"] = encoder.precision
    return origin


def encode_shard(
    encoder: Encoder, collection: Collection, shard: Shard, folder: Path, about: Mapping[str, Any] | None = None
) -> Path:
    """The folder of ``shard`` of ``collection``'s vectors, in ``folder``; what is there of it already is kept.

    ``about`` is what `about_vectors` says of them, for a caller that knows it: it reads the whole collection.
    """
    documents, cut_before = shard.range_of(len(collection)), encoder.n_cut
    about = about_vectors(encoder, collection) if about is None else about
    writer = ShardWriter(folder, shard, about, model_terms(encoder.model))
    if writer.finished:
        logger.info("%s holds these vectors already: %d", writer.path, writer.n_docs)
        return writer.path
    if writer.n_docs:
        logger.info("%s: continuing after %d documents", writer.path, writer.n_docs)
    left = documents[writer.n_docs :]
    try:
        for batch in _vectors(encoder, collection, left, f"encode {shard}", writer.n_docs):
            writer.add(batch)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"encoding interrupted after {writer.n_docs} documents of shard {shard}; the same command continues there"
        ) from error
    encoder.tell_cut(f"{collection.source}, {shard}", cut_before, len(left))
    writer.finish()
    logger.info("%d documents in %s", writer.n_docs, writer.path)
    return writer.path


def _vectors(encoder: Encoder, collection: Collection, numbers: range, what: str, done: int) -> Iterator[SparseBatch]:
    """The vectors of the documents with these numbers, in order; a bar shows ``what`` progress there is."""
    texts = islice(collection.iterate(numbers.start), len(numbers))
    with progress(desc=what, unit="doc", initial=done, total=done + len(numbers)) as bar:
        yield from encoder.encode(texts, encoded=bar.update)


def about_vectors(encoder: Encoder, collection: Collection) -> dict[str, Any]:
    """Describe vectors by model, settings and contents of the collection: no path or date of a file is part of it."""
    source = Path(collection.source)
    about = {
        "fingerprint": encoder.model.fingerprint(),
        "vocab_size": encoder.model.vocab_size,
        "max_length": encoder.max_length,
        "precision": encoder.precision,
        "collection_docs": len(collection),
    }
    about |= {} if collection.titles == TITLE_TEXT else {"titles": collection.titles}
    if not source.is_file():
        return about | {"collection": str(collection.source)}
    checksum = 0
    with open_binary(source) as stream:
        while octets := stream.read(1 << 20):
            checksum = zlib.crc32(octets, checksum)
    return about | {"collection_crc32": checksum}


def query_vectors(encoder: Encoder, queries: Collection) -> SparseBatch:
    """The vectors of ``queries``; a bar shows the progress, batch by batch."""
    with progress(desc="encode queries", unit="query", total=len(queries)) as bar:
        return encoder.encode_all(queries, encoded=bar.update)


class QueryEncoder:
    """Encodes queries for one index, translating them where its terms are not the model's.

    InputError where another encoder made the index, unless ``force``, and where nothing tells what its terms are
    and it has more or fewer of them than the model.
    """

    def __init__(self, encoder: Encoder, index: Terms, force: bool = False) -> None:
        self.encoder, self.index = encoder, index
        self.fingerprint = check_fingerprint(index, encoder.model, force)
        self.terms: list[str] = []
        self.numbers = self._numbers()

    def encode(self, queries: Collection) -> Queries:
        """The vectors of ``queries``; a bar shows the progress."""
        before, began = self.encoder.n_cut, time.perf_counter()
        vectors, seconds = query_vectors(self.encoder, queries), time.perf_counter() - began
        found = self._in_terms(vectors, queries.source)
        n_cut = self.encoder.tell_cut(str(queries.source), before, len(found.vectors.ids))
        return found._replace(n_cut=n_cut, encode_seconds=seconds)

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:
        """The vectors of ``texts``; ``name`` is what the log calls them."""
        return self._in_terms(self.encoder.encode_all(texts), name)

    def _in_terms(self, batch: SparseBatch, name: str) -> Queries:
        if self.numbers is None:
            return Queries(batch, fingerprint=self.fingerprint)
        return in_index_terms(name, batch, self.numbers, self.index, self.terms, self.fingerprint)

    def _numbers(self) -> NDArray[np.int64] | None:
        """The index's column for each term of the model; None where they are the same."""
        model, index = self.encoder.model, self.index
        if index.fingerprint == self.fingerprint:
            return None
        if index.vocabulary is not None:
            self.terms = model_terms(model)
            numbers = numbers_in(index, self.terms)
            same = len(numbers) == index.vocab_size and (numbers == np.arange(len(numbers))).all()
            return None if same else numbers
        if index.vocab_size != model.vocab_size:
            raise InputError(
                f"{index.path}: an index over {index.vocab_size} terms, a model with {model.vocab_size}, and nothing "
                "says what the terms are. Search it with the model that made it, or with vectors of the same kind "
                "(data.Q_VECTORS_PATH), or index documents keyed by tokens"
            )
        logger.warning("%s: nothing says what the terms of this index are; taken to be the model's", index.path)
        return None


class DenseQueryEncoder:
    """Encodes queries for dense vectors. InputError where another encoder made these, unless ``force``."""

    def __init__(self, encoder: Encoder, index: Terms, force: bool = False) -> None:
        self.encoder, self.fingerprint = encoder, check_fingerprint(index, encoder.model, force)

    def encode(self, queries: Collection) -> Queries:
        """The vectors of ``queries``; a bar shows the progress."""
        before, began = self.encoder.n_cut, time.perf_counter()
        vectors = in_matrix(query_vectors(self.encoder, queries))
        seconds = time.perf_counter() - began
        n_cut = self.encoder.tell_cut(str(queries.source), before, len(vectors.ids))
        return Queries(vectors, fingerprint=self.fingerprint, n_cut=n_cut, encode_seconds=seconds)

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:  # noqa: ARG002 - as `QueryEncoder`'s
        """The vectors of ``texts``."""
        return Queries(in_matrix(self.encoder.encode_all(texts)), fingerprint=self.fingerprint)


def check_fingerprint(index: Terms, model: Retriever, force: bool = False) -> str:
    """The model's fingerprint; refuses to search an index that another model made, unless ``force``."""
    mine = model.fingerprint()
    if index.fingerprint in ("", mine):
        return mine
    if is_bm25(index.fingerprint):
        raise InputError(
            f"{index.path}: holds BM25's weights, not a model's vectors. Search it with engine=bm25, index the "
            "collection with this model (python -m splade.index), or point config.index_dir at the right index"
        )
    problem = f"{index.path}: made by the encoder {index.fingerprint[:12]}…, but the model at hand is {mine[:12]}…"
    if not force:
        raise InputError(
            f"{problem}. Index the collection again with this model (python -m splade.index), point "
            "config.index_dir at the right index, or set config.force=true to search it all the same"
        )
    logger.warning("%s; searching all the same, as config.force=true says", problem)
    return mine


def shard_of(setting: str | None, environment: Mapping[str, str]) -> Shard:
    """The shard that ``config.shard`` names, or this process's share of it where torchrun says there are several."""
    whole = Shard(1, 1) if setting is None else Shard.parse(setting)
    mine = Shard(int(environment.get("RANK", "0")) + 1, int(environment.get("WORLD_SIZE", "1")))
    return mine.within(whole)
