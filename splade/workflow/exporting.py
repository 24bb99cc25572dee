"""Documents and queries of an export: from a model and a collection, an index, or vectors that are there already."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from splade.data.collections.opening import open_collection, open_queries
from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.engines.bm25 import is_bm25
from splade.engines.protocol import Documents
from splade.exporting.models import ModelTarget, export_model
from splade.exporting.target import ExportTarget
from splade.exporting.writing import Given, Named, export, staging
from splade.files import InputError
from splade.indexing import Index, InvertedIndex, Vocabulary
from splade.kernels.sparse import slice_rows
from splade.progress import progress
from splade.records import SparseBatch
from splade.workflow.given_vectors import given_documents, given_queries

logger = logging.getLogger(__name__)

AT_ONCE = 1 << 18  # documents of an index that are read at a time
BATCH = 1000
PROVEN = 200  # texts of the user's that a model is proven on


@dataclass
class KnownTerms:
    """The terms of documents that are exported, as `splade.engines.protocol.Terms`."""

    vocab_size: int
    fingerprint: str
    metadata: dict[str, Any]
    path: Path | None
    vocabulary: Vocabulary | None


def target_of(cfg: DictConfig) -> Named:
    """The target of the config, made of its arguments, and the name that it has in the catalog."""
    node = OmegaConf.to_container(cfg.export, resolve=True)
    assert isinstance(node, dict)
    arguments = {str(key): value for key, value in node.items() if not str(key).startswith("_")}
    own = OmegaConf.select(cfg, "patches.export._target_")
    return Named(str(own or cfg.kinds.export), instantiate(cfg.export), arguments)


def make_target(cfg: DictConfig, name: str, arguments: dict[str, Any]) -> ExportTarget | ModelTarget:
    """The target called ``name`` in the catalog; InputError where there is none, as for one of the user's own."""
    node = cfg.catalog.export.get(name)
    if node is None:
        raise InputError(
            f"the export was made by {name}, which is not in the catalog: add it with +catalog.export.{name}=PATH "
            f"(there are {', '.join(map(str, cfg.catalog.export))})"
        )
    made: ExportTarget | ModelTarget = instantiate({"_target_": node["_target_"], **arguments})
    return made


def export_vectors(cfg: DictConfig) -> dict[str, Any]:
    """Export the vectors of ``data.VECTORS_PATH``, with those of ``data.Q_VECTORS_PATH`` where that is set."""
    vectors = open_vectors(cfg.index.vectors, cfg.index.vector_keys)
    documents = given_documents(vectors, what="export")
    return _export_given(cfg, documents, documents.origin, Path(str(cfg.index.vectors)))


def export_index(cfg: DictConfig) -> dict[str, Any]:
    """Export the documents of the index at ``config.index_dir``, with the queries of ``data.Q_VECTORS_PATH``."""
    index = InvertedIndex.open(cfg.index.dir)
    if is_bm25(index.fingerprint):
        raise InputError(
            f"{cfg.index.dir}: holds BM25's weights, whose queries are weighed by engine=bm25 alone: the engine that "
            "it would be exported to has a BM25 of its own"
        )
    numbers = live_numbers(index)

    def batches(_: int) -> Iterable[SparseBatch]:
        return _shown(indexed_vectors(index, numbers), len(numbers))

    origin = {"index": index.metadata, "n_docs": len(numbers), "updates": index.updates}
    documents = Documents(batches, index.vocab_size, index.vocabulary, index.fingerprint, origin)
    return _export_given(cfg, documents, index.metadata, index.path)


def _export_given(cfg: DictConfig, documents: Documents, metadata: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """Export vectors that are there; those of queries are read in the terms of ``documents``."""
    vocabulary, sources = documents.vocabulary, [str(source) for source in cfg.retrieve.vectors or ()]

    def queries(source: str) -> Callable[[int], Iterable[SparseBatch]]:
        def batches(width: int) -> Iterable[SparseBatch]:
            if vocabulary is not None and len(vocabulary) == 0:  # of documents that are kept, and were not read
                deque(documents.batches(0), 0)
            known = KnownTerms(width, documents.fingerprint, metadata, path, vocabulary)
            return [given_queries(source, known, cfg.retrieve.vector_keys, False).vectors]

        return batches

    given = Given(
        batches=lambda: documents.batches(0),
        texts=None,
        tokens=lambda: list(vocabulary or ()),
        named=vocabulary is not None,
        fingerprint=documents.fingerprint,
        origin=documents.origin,
    )
    sets = {name: queries(source) for name, source in zip(_folders(cfg), sources, strict=False)}
    return export(target_of(cfg), given, sets, cfg.retrieve.out_dir)


def export_texts(cfg: DictConfig) -> dict[str, Any]:
    """Export ``data.COLLECTION_PATH`` and the query sets, encoded by the model; documents go with their texts.

    The vectors of documents are kept beside the export until it is complete, as shards: an interrupted encoding
    continues.
    """
    # vectors are exported without torch
    from splade.workflow.encoding import encode_shard, encoder_from, origin_of
    from splade.workflow.exported.models import model_from

    chosen = target_of(cfg)
    if isinstance(chosen.target, ModelTarget):
        raise InputError(
            f"config.export={chosen.name} writes the model itself, no vectors: use python -m splade.export "
            f"export.target={chosen.name}"
        )
    collection = open_collection(cfg.index.collection)
    query_sets = [open_queries(path) for path in cfg.retrieve.queries]
    model = model_from(cfg)
    encoder, asking = encoder_from(cfg, model, "document"), encoder_from(cfg, model, "query")
    folder, fingerprint = Path(cfg.retrieve.out_dir), model.fingerprint()

    def vectors() -> Iterable[SparseBatch]:
        shards = staging(folder) / f"vectors-{fingerprint[:8]}"
        encode_shard(encoder, collection, Shard(1, 1), shards)
        return given_documents(open_vectors(shards), what="export").batches(0)

    given = Given(
        batches=vectors,
        texts=lambda: (text.text for text in collection),
        tokens=lambda: encoder.terms,
        named=True,
        fingerprint=fingerprint,
        origin=origin_of(encoder, collection),
    )

    def encoded(number: int) -> Callable[[int], Iterable[SparseBatch]]:
        def batches(_: int) -> Iterator[SparseBatch]:
            queries = query_sets[number]
            with progress(desc="export", unit="query", total=len(queries)) as bar:
                yield from asking.encode(queries, encoded=bar.update)

        return batches

    sets = {name: encoded(number) for number, name in enumerate(_folders(cfg)[: len(query_sets)])}
    return export(chosen, given, sets, folder)


def export_the_model(cfg: DictConfig, chosen: Named) -> dict[str, Any]:
    """Export the model itself, proven on texts of ``data.COLLECTION_PATH`` too where that is named; the manifest.

    The first PROVEN of its texts are taken, beside the target's own.
    """
    from splade.workflow.model_loading import retriever_from

    assert isinstance(chosen.target, ModelTarget)
    for address in ("data.VECTORS_PATH", "data.Q_VECTORS_PATH"):  # the others stand in the config of every training
        if address in cfg.named:
            raise InputError(f"{address}: export.target={chosen.name} writes the model itself, no vectors. Remove it")
    named = "data.COLLECTION_PATH" in cfg.named
    texts = list(islice(open_collection(cfg.index.collection), PROVEN)) if named else []
    return export_model(chosen.target, chosen.name, chosen.arguments, retriever_from(cfg), texts, cfg.retrieve.out_dir)


def live_numbers(index: Index) -> NDArray[np.int64]:
    """The numbers of the documents that were not deleted."""
    found = []
    for part in index.parts:
        own = np.flatnonzero(part.live) if part.live.size else np.arange(part.segment.n_docs)
        found.append(own + part.first)
    return np.concatenate(found).astype(np.int64)


def indexed_vectors(index: Index, numbers: NDArray[np.int64]) -> Iterator[SparseBatch]:
    """The vectors of documents, read back from the postings; memory: those of `AT_ONCE` documents."""
    for start in range(0, len(numbers), AT_ONCE):
        own = numbers[start : start + AT_ONCE]
        rows, ids = index.vectors(own), index.doc_ids.take(own)
        for first in range(0, len(own), BATCH):
            last = min(first + BATCH, len(own))
            yield SparseBatch(tuple(ids[first:last]), slice_rows(rows, first, last), index.vocab_size)


def _folders(cfg: DictConfig) -> list[str]:
    """The folders of query sets: the first one's is the export's own, others' ids may overlap with its."""
    return ["", *map(str, list(cfg.retrieve.names)[1:])]


def _shown(batches: Iterable[SparseBatch], total: int) -> Iterator[SparseBatch]:
    with progress(desc="export", unit="doc", total=total) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch.ids))
