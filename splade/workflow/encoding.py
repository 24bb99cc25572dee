"""Vectors that a model makes: of a collection, for an index, and of queries, in the terms of an index."""

import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from splade.data.collections.collection import Collection, collection_state
from splade.data.text_files.formats import TITLE_TEXT
from splade.data.vectors.shards import Shard
from splade.dense.index import in_matrix
from splade.encoding.shards import ShardWriter
from splade.encoding.terms import model_terms
from splade.engines import Documents, kind_of
from splade.engines.protocol import Kind
from splade.files import InputError, open_binary
from splade.indexing import Vocabulary
from splade.onnx.encoder import onnx_encoder
from splade.onnx.folder import OnnxModel
from splade.progress import progress
from splade.records import SparseBatch
from splade.workflow.exported.settings import exported_folder
from splade.workflow.querying.encoding import DenseQueryEncoder, QueryEncoder, check_fingerprint

if TYPE_CHECKING:
    from splade.models import Retriever

logger = logging.getLogger(__name__)

__all__ = [
    "DenseQueryEncoder",
    "QueryEncoder",
    "about_vectors",
    "check_fingerprint",
    "collection_vectors",
    "encode_shard",
    "encoded_documents",
    "encoder_from",
    "model_terms",
    "origin_of",
    "shard_of",
    "uses_int8",
]


def encoder_from(
    cfg: DictConfig, model: "Retriever | OnnxModel", side: str, device: str | None = None, *, kind: Kind = "sparse"
) -> Any:
    """The encoder of one side, with the batch size and precision of the config; ``device`` as for `Encoder`.

    That of an exported model is computed by onnxruntime, without torch. InputError for a dense model, unless ``kind``
    says that its vectors are wanted.
    """
    if isinstance(model, OnnxModel):
        threads = os.environ.get("OMP_NUM_THREADS", "")
        n_threads = int(threads) if threads.isdecimal() and int(threads) else None
        return onnx_encoder(model, side, batch_size=cfg.encoder.batch_size, n_threads=n_threads)
    if kind != "dense" and kind_of(model) == "dense":
        raise InputError(
            "this model is dense (config.matching_type): its vectors have no zeros and cannot go into an inverted "
            "index; use a sparse one, such as splade. splade.index, splade.retrieve, splade.beir_eval and splade.all "
            "take dense models"
        )
    from splade.encoding import Encoder  # here: an exported model needs no torch

    chosen = cfg.encoder
    ways = {name: chosen[name] for name in ("fp16", "bf16", "int8", "compile")}
    return Encoder(model, side, batch_size=chosen.batch_size, device=device, **ways)


def uses_int8(cfg: DictConfig) -> bool:
    """True where the config asks for 8-bit products and this machine, having no CUDA GPU, computes them fast."""
    if not cfg.encoder.int8 or exported_folder(cfg) is not None:
        return False
    import torch

    from splade.encoding.precision import has_int8

    return not torch.cuda.is_available() and has_int8(torch.device("cpu"))


def encoded_documents(encoder: Any, collection: Collection) -> Documents:
    """The vectors of ``collection`` as documents, of the kind that the model makes."""

    def batches(start: int) -> Iterable[Any]:
        vectors = collection_vectors(encoder, collection, start)
        return (in_matrix(batch) for batch in vectors) if kind_of(model) == "dense" else vectors

    model, origin = encoder.model, origin_of(encoder, collection)

    def n_cut(done: int, n_texts: int) -> int:
        encoder.count_cut(islice(collection, done))
        return encoder.tell_cut(str(collection.source), 0, n_texts)

    vocabulary = None if kind_of(model) == "dense" else Vocabulary(encoder.terms)
    return Documents(batches, model.vocab_size, vocabulary, model.fingerprint(), origin, n_cut)


def collection_vectors(encoder: Any, collection: Collection, start: int = 0) -> Iterator[SparseBatch]:
    """The vectors of ``collection`` from document number ``start`` on; shows its progress."""
    return _vectors(encoder, collection, range(start, len(collection)), "index", start)


def origin_of(encoder: Any, collection: Collection) -> dict[str, Any]:
    """Describe the vectors of ``collection`` so that they can be told from others of the same model."""
    origin = collection_state(collection) | {"max_length": encoder.max_length}
    if encoder.precision != "float32":
        origin["precision"] = encoder.precision
    return origin


def encode_shard(
    encoder: Any, collection: Collection, shard: Shard, folder: Path, about: Mapping[str, Any] | None = None
) -> Path:
    """The folder of ``shard`` of ``collection``'s vectors, in ``folder``; what is there of it already is kept.

    ``about`` is what `about_vectors` says of them, for a caller that knows it: it reads the whole collection.
    """
    documents, cut_before = shard.range_of(len(collection)), encoder.n_cut
    about = about_vectors(encoder, collection) if about is None else about
    writer = ShardWriter(folder, shard, about, encoder.terms)
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


def _vectors(encoder: Any, collection: Collection, numbers: range, what: str, done: int) -> Iterator[SparseBatch]:
    """The vectors of the documents with these numbers, in order; a bar shows ``what`` progress there is."""
    texts = islice(collection.iterate(numbers.start), len(numbers))
    with progress(desc=what, unit="doc", initial=done, total=done + len(numbers)) as bar:
        yield from encoder.encode(texts, encoded=bar.update)


def about_vectors(encoder: Any, collection: Collection) -> dict[str, Any]:
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


def shard_of(setting: str | None, environment: Mapping[str, str]) -> Shard:
    """The shard that ``config.shard`` names, or this process's share of it where torchrun says there are several."""
    whole = Shard(1, 1) if setting is None else Shard.parse(setting)
    mine = Shard(int(environment.get("RANK", "0")) + 1, int(environment.get("WORLD_SIZE", "1")))
    return mine.within(whole)
