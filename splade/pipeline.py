"""What the commands share: a collection into an index, queries through it."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from splade.data.collections import Collection
from splade.encoding import Encoder
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.runs import write_run
from splade.files import InputError, read_json, write_json
from splade.indexing import Index, IndexBuilder, InvertedIndex
from splade.indexing.statistics import expected_flops, posting_counts, statistics
from splade.kernels.sparse import slice_rows
from splade.models import SparseRetriever
from splade.records import Ranking, Run, SparseBatch
from splade.search import Searcher

logger = logging.getLogger(__name__)


def encoder_from(cfg: DictConfig, model: SparseRetriever, side: str) -> Encoder:
    """The encoder of one side, with the batch size and precision of the config."""
    if not getattr(model, "is_sparse", True):
        raise InputError(
            "this model is dense (config.matching_type): its vectors have no zeros and cannot go into an inverted "
            "index; use a sparse one, such as splade"
        )
    return Encoder(model, side, batch_size=cfg.encoder.batch_size, fp16=cfg.encoder.fp16)


def check_fingerprint(index: Index, model: SparseRetriever, force: bool = False) -> str:
    """The model's fingerprint; refuses to search an index that another model made, unless ``force``."""
    mine = model.fingerprint()
    if index.fingerprint in ("", mine):
        return mine
    problem = f"{index.path}: made by the encoder {index.fingerprint[:12]}…, but the model at hand is {mine[:12]}…"
    if not force:
        raise InputError(
            f"{problem}. Index the collection again with this model (python -m splade.index), point "
            "config.index_dir at the right index, or set config.force=true to search it all the same"
        )
    logger.warning("%s; searching all the same, as config.force=true says", problem)
    return mine


def index_collection(
    encoder: Encoder, collection: Collection, path: str | Path, *, memory_mb: int = 1024, resume: bool = True
) -> Index:
    """Encode ``collection`` into an index at ``path``, with its statistics beside it.

    An index of the same collection by the same encoder is kept as it is, and an interrupted one is
    continued after its last whole segment. Memory: ``memory_mb`` for postings, plus one window of texts.
    """
    path = Path(path)
    origin = collection_state(collection) | {"max_length": encoder.max_length}
    fingerprint = encoder.model.fingerprint()
    index = _same_index(path, fingerprint, origin) if resume else None
    if index is not None:
        logger.info("%s holds this collection by this encoder already: %d documents", path, index.n_docs)
    else:
        index = _build(encoder, collection, path, fingerprint, origin, memory_mb, resume)
    write_statistics(index, path)
    return index


def collection_state(collection: Collection) -> dict[str, Any]:
    """What tells one state of a collection's file from another: path, size, time of change."""
    source = Path(collection.source)
    state: dict[str, Any] = {"collection": str(collection.source)}
    if source.is_file():
        state |= {"bytes": source.stat().st_size, "modified_ns": source.stat().st_mtime_ns}
    return state


def write_statistics(index: Index, folder: str | Path) -> None:
    """``index_stats.json`` (with ``L0_d``) and ``index_dist.json`` ({term id: postings}) beside the index."""
    counts = posting_counts(index)
    written = {
        "index_stats.json": statistics(index),
        "index_dist.json": {str(term): int(counts[term]) for term in np.flatnonzero(counts)},
    }
    for name, value in written.items():
        if _stored(Path(folder) / name) != value:  # an index that is kept may lie where nothing can be written
            write_json(Path(folder) / name, value)


def answer(
    searcher: Searcher,
    encoder: Encoder,
    queries: Collection,
    folder: str | Path,
    settings: DictConfig,
    *,
    fingerprint: str,
    k: int | None = None,
    keep: Callable[[Iterable[Ranking]], Iterable[Ranking]] = lambda rankings: rankings,
) -> Run:
    """Encode and search ``queries``; write ``run.json``, ``run.trec`` and ``stats/`` into ``folder``.

    ``settings`` is the wired ``search`` node, ``fingerprint`` the encoder's; ``k`` stands in for its
    ``top_k``, and ``keep`` sees the rankings before they are written. ``stats/q_stats.json`` holds the mean
    non-zeros of a query (``L0_q``), ``stats/search_stats.json`` what the result rests on: index, model,
    FLOPS, latency.
    """
    index, folder = searcher.index, Path(folder)
    vectors = encoder.encode_all(tqdm(queries, desc="encode queries", unit="query", disable=None))
    depth = min(k or settings.top_k, max(index.n_docs, 1))
    rankings, seconds = search_all(searcher, vectors, depth, n_threads=settings.n_threads, threshold=settings.threshold)
    run = write_run(folder, keep(rankings))
    sizes = np.diff(vectors.rows.offsets)
    mean = float(sizes.mean()) if sizes.size else 0.0
    empty = int((sizes == 0).sum())
    write_json(folder / "stats" / "q_stats.json", {"L0_q": mean, "n_queries": len(sizes), "empty_queries": empty})
    if empty:
        logger.warning("%d of %d queries have no terms and find nothing", empty, len(sizes))
    query_counts = np.bincount(vectors.rows.columns, minlength=vectors.vocab_size)
    can_meet = len(sizes) > 0 and index.n_docs > 0
    facts = {
        "strategy": searcher.strategy,
        "top_k": k or settings.top_k,
        "threshold": settings.threshold,
        "index": statistics(index),
        "flops": expected_flops(posting_counts(index), index.n_docs, query_counts, len(sizes)) if can_meet else 0.0,
        "index_fingerprint": index.fingerprint,
        "model_fingerprint": fingerprint,
        "latency_ms": latency_summary(seconds, n_threads=settings.n_threads),
    }
    write_json(folder / "stats" / "search_stats.json", facts)
    logger.info("%d queries, %.1f terms each; runs in %s", len(sizes), mean, folder)
    return run


def search_all(
    searcher: Searcher, queries: SparseBatch, k: int, *, n_threads: int = 1, threshold: float = 0.0
) -> tuple[list[Ranking], list[float]]:
    """Rankings of all queries, and the seconds each query took.

    With one thread queries are searched and timed one by one; with more they are searched as batches
    and each query is given its batch's mean.
    """
    rankings: list[Ranking] = []
    seconds: list[float] = []
    if len(queries.ids):
        list(searcher.search(part_of(queries, 0, 1), k=k))  # so that no query is charged for compilation
    step = 1 if n_threads == 1 else 64 * n_threads
    for start in tqdm(range(0, len(queries.ids), step), desc="search", unit="batch", disable=None):
        batch = part_of(queries, start, start + step)
        began = time.perf_counter()
        found = list(searcher.search(batch, k=k, n_threads=n_threads, threshold=threshold))
        seconds += [(time.perf_counter() - began) / len(found)] * len(found)
        rankings += found
    return rankings, seconds


def part_of(batch: SparseBatch, start: int, stop: int) -> SparseBatch:
    """The vectors ``start`` to ``stop`` of a batch, or to its end; a view."""
    stop = min(stop, len(batch.ids))
    return SparseBatch(batch.ids[start:stop], slice_rows(batch.rows, start, stop), batch.vocab_size)


def _stored(path: Path) -> Any:
    """The value of a JSON file; None where there is none that can be read."""
    try:
        return read_json(path)
    except (InputError, OSError):
        return None


def _same_index(path: Path, fingerprint: str, origin: dict[str, Any]) -> Index | None:
    """The index at ``path`` if it is whole and of the same encoder and collection; else None."""
    if not path.is_dir():
        return None
    try:
        index = InvertedIndex.open(path)
    except InputError as error:
        logger.warning("%s; it is built again", error)
        return None
    return index if index.fingerprint == fingerprint and index.metadata == origin else None


def _build(
    encoder: Encoder,
    collection: Collection,
    path: Path,
    fingerprint: str,
    origin: dict[str, Any],
    memory_mb: int,
    resume: bool,
) -> InvertedIndex:
    builder = IndexBuilder(
        path,
        encoder.model.vocab_size,
        fingerprint=fingerprint,
        metadata=origin,
        memory_mb=memory_mb,
        resume=resume,
    )
    done = builder.n_docs
    if done:
        logger.info("%s: continuing after %d documents", path, done)
    try:
        total = len(collection)
        texts = tqdm(collection.iterate(done), desc="index", unit="doc", initial=done, total=total, disable=None)
        for batch in encoder.encode(texts):
            builder.add(batch)
        return builder.finish()
    except KeyboardInterrupt as error:
        builder.checkpoint()
        raise KeyboardInterrupt(
            f"indexing interrupted after {builder.n_docs} documents; the same command continues there"
        ) from error
    except InputError:
        builder.leave()
        raise
