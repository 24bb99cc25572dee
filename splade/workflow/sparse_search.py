"""The work that commands share without a model: vectors go into an index, and query vectors search it.

Where a model makes the vectors, :mod:`splade.workflow.encoding` does; this module starts without torch.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig

from splade.data.vectors.vectors import VectorCollection
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.runs import write_run
from splade.files import InputError, read_json, write_json
from splade.indexing import Index, IndexAppender, IndexBuilder, InvertedIndex, Vocabulary
from splade.indexing.format.choices import Layout
from splade.indexing.index.statistics import expected_flops, posting_counts, statistics
from splade.kernels.sparse import slice_rows
from splade.progress import progress
from splade.records import Ranking, Run, SparseBatch
from splade.search import Searcher
from splade.search.overflow import refuse_overflow
from splade.workflow.query_vectors import Queries

logger = logging.getLogger(__name__)


class Documents(NamedTuple):
    """Document vectors on their way into an index, and what they are."""

    batches: Callable[[int], Iterable[SparseBatch]]
    """The vectors in order, from a document number on; shows its progress."""

    vocab_size: int | None  # None: as many terms as are met
    vocabulary: Vocabulary | None  # the terms by number, those that are met in `batches` added to it
    fingerprint: str  # of the encoder; "" where it is unknown
    origin: dict[str, Any]  # what tells these vectors from others, kept as the index's metadata
    n_cut: Callable[[int, int], int] | None = None
    """How many of all texts were longer than what is read of them; says it.

    Takes how many an earlier run had encoded, and how many there are.
    """


def given_documents(vectors: VectorCollection, vocabulary: Vocabulary | None = None) -> Documents:
    """The vectors of a file as documents, in the terms of ``vocabulary``, which grows, or in terms of their own.

    Shards that a model wrote are documents of that model.
    """
    encoded = vectors.encoded
    if vectors.keys != "tokens":
        vocabulary = None
    elif vocabulary is None:
        vocabulary = Vocabulary()

    def batches(start: int) -> Iterable[SparseBatch]:
        with progress(desc="index", unit="doc", initial=start) as bar:
            for batch in vectors.batches(vocabulary, start):
                yield batch
                bar.update(len(batch.ids))

    if encoded is not None:
        vocabulary, about = Vocabulary(encoded.terms()), encoded.about
        return Documents(batches, about["vocab_size"], vocabulary, about["fingerprint"], vectors.state())
    return Documents(batches, None, vocabulary, "", vectors.state())


def build_index(
    documents: Documents,
    path: str | Path,
    *,
    memory_mb: int = 1024,
    layout: Mapping[str, Any] | None = None,
    resume: bool = True,
) -> Index:
    """The index of ``documents`` at ``path``, with its statistics beside it.

    An index of the same documents by the same encoder and with the same ``layout`` (named choices of
    :class:`splade.indexing.format.choices.Layout`) is kept as it is, and an interrupted one is
    continued after its last whole segment. Memory: ``memory_mb`` for postings, plus what ``batches`` holds.
    """
    path, choices = Path(path), dict(layout or {})
    index = _same_index(path, documents, Layout(**choices)) if resume else None
    n_cut: int | None = None
    if index is not None:
        n_cut = (_stored(path / "index_stats.json") or {}).get("cut_docs")
        logger.info("%s holds these documents already: %d", path, index.n_docs)
    else:
        builder = IndexBuilder(
            path,
            documents.vocab_size,
            vocabulary=documents.vocabulary,
            fingerprint=documents.fingerprint,
            metadata=documents.origin,
            memory_mb=memory_mb,
            resume=resume,
            **choices,
        )
        done = builder.n_docs
        index = fill(builder, documents, path)
        n_cut = documents.n_cut(done, index.n_docs) if documents.n_cut else None
    write_statistics(index, path, n_cut)
    return index


def fill(builder: IndexBuilder | IndexAppender, documents: Documents, path: Path) -> Index:
    """Add the documents that are not there yet and finish; an interrupt keeps what was added for the next time."""
    done = builder.n_docs
    if done:
        logger.info("%s: continuing after %d documents", path, done)
    try:
        for batch in documents.batches(done):
            builder.add(batch)
        return builder.finish()
    except KeyboardInterrupt as error:
        builder.checkpoint()
        done = builder.n_docs
        builder.leave()
        raise KeyboardInterrupt(
            f"indexing interrupted after {done} documents; the same command continues there"
        ) from error
    except Exception:
        builder.leave()
        raise


def write_statistics(index: Index, folder: str | Path, n_cut: int | None = None) -> None:
    """``index_stats.json`` (with ``L0_d``) and ``index_dist.json`` ({term id: postings}) beside the index.

    ``n_cut`` is the number of documents of which only a part was read (``cut_docs``), where that is known.
    """
    counts = posting_counts(index)
    written = {
        "index_stats.json": statistics(index) | ({} if n_cut is None else {"cut_docs": n_cut}),
        "index_dist.json": {str(term): int(counts[term]) for term in np.flatnonzero(counts)},
    }
    for name, value in written.items():
        if _stored(Path(folder) / name) != value:  # an index that is kept may lie where nothing can be written
            write_json(Path(folder) / name, value)


def answer(
    searcher: Searcher,
    queries: Queries,
    folder: str | Path,
    settings: DictConfig,
    *,
    k: int | None = None,
    keep: Callable[[Iterable[Ranking]], Iterable[Ranking]] = lambda rankings: rankings,
) -> Run:
    """Search ``queries``; write ``run.json``, ``run.trec`` and ``stats/`` into ``folder``.

    ``settings`` is the wired ``search`` node; ``k`` stands in for its ``top_k``, and ``keep`` sees the rankings
    before they are written. ``stats/q_stats.json`` holds the mean non-zeros of a query (``L0_q``) and what the
    index does not know of them, and how many were cut (``cut_queries``), ``stats/search_stats.json`` what the result
    rests on: index, model, FLOPS, latency.
    """
    index, folder, vectors = searcher.index, Path(folder), queries.vectors
    depth = min(k or settings.top_k, max(index.n_docs, 1))
    refuse_overflow(searcher, vectors)
    rankings, seconds = search_all(searcher, vectors, depth, n_threads=settings.n_threads, threshold=settings.threshold)
    run = write_run(folder, keep(rankings))
    sizes = np.diff(vectors.rows.offsets)
    mean = float(sizes.mean()) if sizes.size else 0.0
    empty = int((sizes == 0).sum())
    told = {"L0_q": mean, "n_queries": len(sizes), "empty_queries": empty}
    told |= {} if queries.n_cut is None else {"cut_queries": queries.n_cut}
    write_json(folder / "stats" / "q_stats.json", told | queries.lost._asdict())
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
        "model_fingerprint": queries.fingerprint,
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
    for start in progress(range(0, len(queries.ids), step), desc="search", unit="batch"):
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


def is_built(documents: Documents, path: str | Path, layout: Mapping[str, Any] | None = None) -> bool:
    """True where `build_index` would keep the index at ``path`` as it is."""
    return _same_index(Path(path), documents, Layout(**(layout or {}))) is not None


def _same_index(path: Path, documents: Documents, layout: Layout) -> Index | None:
    """The index at ``path`` if it is whole and of the same encoder, documents and layout; else None."""
    if not path.is_dir():
        return None
    try:
        index = InvertedIndex.open(path)
    except InputError as error:
        logger.warning("%s; it is built again", error)
        return None
    same = index.fingerprint == documents.fingerprint and index.metadata == documents.origin and not index.updates
    return index if same and index.parts[0].segment.layout.identity == layout.identity else None
