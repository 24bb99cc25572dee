"""Dense models in the commands: vectors of a collection into an index of their own, queries through it."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.dense.index import FOLDER, DenseIndex, in_matrix, write_dense
from splade.dense.search import DenseSearcher
from splade.encoding import Encoder
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.runs import write_run
from splade.files import InputError, write_json
from splade.indexing.index import inverted_index
from splade.models import SparseRetriever
from splade.records import Ranking, Run
from splade.workflow.encoding import check_fingerprint, collection_vectors, encoder_from, origin_of, query_vectors
from splade.workflow.model_loading import retriever_from

logger = logging.getLogger(__name__)


def index_dense(cfg: DictConfig, model: SparseRetriever) -> DenseIndex:
    """The index of ``data.COLLECTION_PATH``'s vectors in ``config.index_dir``."""
    return build(cfg, model, open_collection(cfg.index.collection), Path(cfg.index.dir))


def build(cfg: DictConfig, model: SparseRetriever, collection: Collection, folder: Path) -> DenseIndex:
    """The index of ``collection``'s vectors in ``folder``; one of the same encoder and texts is kept as it is.

    ``config.index_weights`` says how numbers are kept. An interrupted build starts again.
    """
    encoder = encoder_from(cfg, model, "document", dense=True)
    dtype, origin, fingerprint = cfg.index.layout.weights, origin_of(encoder, collection), model.fingerprint()
    index = _same_index(folder, fingerprint, dtype, origin)
    if index is not None:
        logger.info("%s holds these documents already: %d", folder, index.n_docs)
        return index
    batches = (in_matrix(batch) for batch in collection_vectors(encoder, collection))
    index = write_dense(folder, batches, model.vocab_size, dtype=dtype, fingerprint=fingerprint, metadata=origin)
    cut = encoder.tell_cut(str(collection.source), 0, index.n_docs)
    sizes = {"n_docs": index.n_docs, "width": index.width, "dtype": dtype}
    write_json(folder / "index_stats.json", sizes | {"cut_docs": cut})
    logger.info("index: %d documents, %d numbers each, in %s", index.n_docs, index.width, folder)
    return index


def is_dense(cfg: DictConfig) -> bool:
    """True where ``config.index_dir`` is searched with dense vectors; where it has both kinds, the model decides."""
    folder = Path(cfg.index.dir)
    if cfg.retrieve.vectors or not (folder / FOLDER).is_dir():
        return False
    return not (folder / inverted_index.FOLDER).is_dir() or not getattr(retriever_from(cfg), "is_sparse", True)


def retrieve_dense(cfg: DictConfig) -> None:
    """Search every query set of ``data.Q_COLLECTION_PATH`` and write the runs."""
    model = retriever_from(cfg)
    if getattr(model, "is_sparse", True):
        raise InputError(
            f"{cfg.index.dir}: holds dense vectors, and this model is sparse (config.matching_type); use the dense "
            "model that made them, or index the collection with this one"
        )
    index = DenseIndex.open(cfg.index.dir)
    check_fingerprint(index, model, cfg.search.force)
    encoder = encoder_from(cfg, model, "query", dense=True)
    for name, source in zip(cfg.retrieve.names, cfg.retrieve.queries, strict=True):
        answer_dense(index, encoder, open_queries(source), Path(cfg.retrieve.out_dir) / name, cfg.search)


def answer_dense(
    index: DenseIndex,
    encoder: Encoder,
    queries: Collection,
    folder: Path,
    settings: DictConfig,
    *,
    k: int | None = None,
    keep: Callable[[Iterable[Ranking]], Iterable[Ranking]] = lambda rankings: rankings,
) -> Run:
    """Search ``queries``; write ``run.json``, ``run.trec`` and ``stats/search_stats.json`` into ``folder``.

    Arguments as for :func:`splade.workflow.sparse_search.answer`. ``config.threshold`` 0 is none: dense scores
    may be negative.
    """
    if settings.strategy != "auto":
        raise InputError(
            f"config.search.strategy={settings.strategy} is for inverted indexes; dense vectors are searched by auto"
        )
    before = encoder.n_cut
    vectors = in_matrix(query_vectors(encoder, queries))
    depth = min(k or settings.top_k, max(index.n_docs, 1))
    began = time.perf_counter()
    found = list(
        DenseSearcher(index).search(
            vectors.ids, vectors.matrix, depth, settings.n_threads, settings.threshold or -np.inf
        )
    )
    each = (time.perf_counter() - began) / max(len(found), 1)
    run = write_run(folder, keep(found))
    facts = {
        "strategy": DenseSearcher.strategy,
        "top_k": k or settings.top_k,
        "threshold": settings.threshold,
        "cut_queries": encoder.tell_cut(str(queries.source), before, len(vectors.ids)),
        "index": {"n_docs": index.n_docs, "width": index.width, "dtype": index.vectors.dtype.name},
        "index_fingerprint": index.fingerprint,
        "model_fingerprint": encoder.model.fingerprint(),
        "latency_ms": latency_summary([each] * len(found), n_threads=settings.n_threads),
    }
    write_json(folder / "stats" / "search_stats.json", facts)
    logger.info("%d queries, %d numbers each; runs in %s", len(found), index.width, folder)
    return run


def _same_index(folder: Path, fingerprint: str, dtype: str, origin: dict[str, object]) -> DenseIndex | None:
    if not (folder / FOLDER).is_dir():
        return None
    try:
        index = DenseIndex.open(folder)
    except InputError as error:
        logger.warning("%s; it is built again", error)
        return None
    same = (index.fingerprint, index.vectors.dtype.name, index.metadata) == (fingerprint, dtype, origin)
    return index if same else None
