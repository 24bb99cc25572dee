"""Our own inverted index as an engine: sparse vectors in, exact or approximate inner products out."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splade.engines.protocol import Documents, Kind, Queries, part_of, refuse_other_kind, same_origin, unknown_in
from splade.files import InputError, read_json, write_json
from splade.indexing import Index, IndexAppender, IndexBuilder, InvertedIndex, Vocabulary
from splade.indexing.format.choices import Layout
from splade.indexing.index.inverted_index import FOLDER
from splade.indexing.index.statistics import calibration_told, expected_flops, posting_counts, statistics
from splade.kernels.sparse import concatenate
from splade.records import Ranking, SparseBatch
from splade.search import Searcher
from splade.search.overflow import refuse_overflow
from splade.search.searcher import check_strategy

logger = logging.getLogger(__name__)

TOGETHER = 64  # queries for each thread that are searched and timed together, where there is more than one thread


class Inverted:
    """Sparse vectors in `splade.indexing`, searched by `splade.search`.

    ``folder`` is the place, None keeps the index in memory. ``memory_mb`` (MiB) bounds the postings held while
    building; ``layout`` are named choices of :class:`splade.indexing.format.choices.Layout`. ``strategy`` and
    ``options`` as for :class:`splade.search.Searcher`: ValueError where there is no such strategy, or it takes other
    options.
    """

    takes: ClassVar[Kind] = "sparse"

    def __init__(
        self,
        folder: str | Path | None,
        *,
        strategy: str = "auto",
        memory_mb: int = 1024,
        layout: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_strategy(strategy, options)
        self.folder = None if folder is None else Path(folder)
        self.strategy, self.options = strategy, options
        self.memory_mb, self.layout = memory_mb, dict(layout or {})

    def build(self, documents: Documents) -> "OpenedInverted":
        """Index ``documents``; as :meth:`splade.engines.protocol.Engine.build`.

        A kept index has the same ``layout`` too. An interrupted build is continued after its last whole segment.
        ``index_stats.json`` and ``index_dist.json`` are written beside the index.
        """
        if self.folder is None:
            return self._opened(in_memory(documents, self.layout))
        return self._opened(build_index(documents, self.folder, memory_mb=self.memory_mb, layout=self.layout))

    def open(self) -> "OpenedInverted":
        """Open the index in the folder, memory-mapped."""
        if self.folder is None:
            raise InputError("an engine in memory has no folder to open: build it")
        return self._opened(InvertedIndex.open(self.folder))

    def exists(self) -> bool:
        """True where the folder has an index."""
        return self.folder is not None and (self.folder / FOLDER).is_dir()

    def is_built(self, documents: Documents) -> bool:
        """True where `build` would keep the index that is there."""
        return self.folder is not None and _same_index(self.folder, documents, Layout(**self.layout)) is not None

    def _opened(self, index: Index) -> "OpenedInverted":
        return OpenedInverted(index, self.strategy, **self.options)


class OpenedInverted:
    """An `Index` and a `Searcher` as the protocol `Opened` has them; both stand open as attributes."""

    takes: ClassVar[Kind] = "sparse"

    def __init__(self, index: Index, strategy: str = "auto", **options: Any) -> None:
        self.index = index
        self.searcher = Searcher(index, strategy=strategy, **options)
        self.n_docs, self.vocab_size = index.n_docs, index.vocab_size
        self.fingerprint, self.metadata, self.path = index.fingerprint, index.metadata, index.path
        self._counts: NDArray[np.int64] | None = None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms by number; None where their names are not known."""
        return self.index.vocabulary

    def search(
        self,
        queries: Queries,
        k: int,
        *,
        n_threads: int = 1,
        threshold: float = 0.0,
        seconds: list[float] | None = None,
    ) -> Iterator[Ranking]:
        """As :meth:`splade.engines.protocol.Opened.search`.

        With ``seconds``, one thread searches query by query; several take batches, and each query is given its
        batch's mean.
        """
        refuse_other_kind(self, queries.vectors, SparseBatch)
        refuse_overflow(self.searcher, queries.vectors)
        if seconds is None:
            return self.searcher.search(queries.vectors, k=k, n_threads=n_threads, threshold=threshold)
        return self._timed(queries, k, n_threads, threshold, seconds)

    def _timed(
        self, queries: Queries, k: int, n_threads: int, threshold: float, seconds: list[float]
    ) -> Iterator[Ranking]:
        n_queries = len(queries.vectors.ids)
        step = 1 if n_threads == 1 else TOGETHER * n_threads
        if n_queries:  # so that no query is charged for compilation
            list(self.searcher.search(part_of(queries, 0, 1).vectors, k=k, threshold=threshold))
        for start in range(0, n_queries, step):
            batch = part_of(queries, start, start + step).vectors
            began = time.perf_counter()
            found = list(self.searcher.search(batch, k=k, n_threads=n_threads, threshold=threshold))
            seconds += [(time.perf_counter() - began) / len(found)] * len(found)
            yield from found

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that the index does not hold, or that were deleted."""
        return unknown_in(self.index.doc_ids.numbers, doc_ids)

    def facts(self, queries: Queries | None = None) -> dict[str, Any]:
        """Engine, strategy and its options, statistics of the index; FLOPS with ``queries``."""
        told: dict[str, Any] = {"engine": "inverted", "strategy": self.searcher.strategy}
        told |= {"strategy_options": self.searcher.options} if self.searcher.options else {}
        told |= {"calibration": self._calibration()} if self.searcher.strategy == "approximate" else {}
        told["index"] = statistics(self.index)
        return told if queries is None else told | {"flops": self.flops(queries.vectors)}

    def _calibration(self) -> dict[str, Any]:
        """The queries that the recall of approximate search comes from, by part of the index."""
        own = self.searcher.options.get("queries") is not None
        return {"queries": "the argument queries"} if own else calibration_told(self.index)

    def flops(self, vectors: SparseBatch) -> float:
        """The mean number of multiplications to score one document for one query; 0 without either."""
        n_queries = len(vectors.ids)
        if not n_queries or not self.n_docs:
            return 0.0
        query_counts = np.bincount(vectors.rows.columns, minlength=vectors.vocab_size)
        return expected_flops(self.posting_counts(), self.n_docs, query_counts, n_queries)

    def posting_counts(self) -> NDArray[np.int64]:
        """The number of documents that hold each term, int64 [V]."""
        if self._counts is None:
            self._counts = posting_counts(self.index)
        return self._counts


def in_memory(documents: Documents, layout: Mapping[str, Any] | None = None) -> Index:
    """The index of ``documents``, all held in memory."""
    batches = list(documents.batches(0))
    ids = tuple(id for batch in batches for id in batch.ids)
    width = documents.vocab_size or max((batch.vocab_size for batch in batches), default=1)
    rows = concatenate([batch.rows for batch in batches])
    return InvertedIndex.from_csr(
        SparseBatch(ids, rows, max(width, 1)),
        fingerprint=documents.fingerprint,
        metadata=documents.origin,
        vocabulary=documents.vocabulary,
        **(layout or {}),
    )


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
        n_cut = cut_docs(path)
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
    """Write ``index_stats.json`` (with ``L0_d``) and ``index_dist.json`` ({term id: postings}) beside the index.

    ``n_cut`` is the number of documents of which only a part was read (``cut_docs``), where that is known.
    """
    counts = posting_counts(index)
    told = calibration_told(index)
    stats = statistics(index) | ({} if n_cut is None else {"cut_docs": n_cut})
    written = {
        "index_stats.json": stats | ({"calibration": told} if told else {}),
        "index_dist.json": {str(term): int(counts[term]) for term in np.flatnonzero(counts)},
    }
    for name, value in written.items():
        if _stored(Path(folder) / name) != value:  # an index that is kept may lie where nothing can be written
            write_json(Path(folder) / name, value)


def cut_docs(folder: Path) -> int | None:
    """The number of documents of which only a part was read, as the statistics in ``folder`` have it."""
    return (_stored(folder / "index_stats.json") or {}).get("cut_docs")


def _stored(path: Path) -> Any:
    """The value of a JSON file; None where there is none that can be read."""
    try:
        return read_json(path)
    except (InputError, OSError):
        return None


def _same_index(path: Path, documents: Documents, layout: Layout) -> Index | None:
    """The index at ``path`` if it is whole and of the same encoder, documents and layout; else None."""
    if not path.is_dir():
        return None
    try:
        index = InvertedIndex.open(path)
    except InputError as error:
        logger.warning("%s; it is built again", error)
        return None
    same = same_origin(index, documents) and not index.updates
    segment = index.parts[0].segment
    asked = segment.fit.asked if segment.fit else segment.layout.identity
    return index if same and asked == layout.identity else None
