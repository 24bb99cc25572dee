"""Dense vectors as an engine: a matrix on disk or in memory, searched exactly."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from splade.dense.index import FOLDER, DenseBatch, DenseIndex, write_dense
from splade.dense.search import DenseSearcher
from splade.engines.protocol import Documents, Kind, Queries, refuse_other_kind, same_origin, unknown_in
from splade.files import InputError, write_json
from splade.records import Ranking

logger = logging.getLogger(__name__)


class Dense:
    """Dense vectors in `splade.dense`; every inner product is computed.

    ``folder`` is the place, None keeps the matrix in memory. ``dtype`` is how numbers are kept, float32 or float16.
    InputError for another ``strategy`` than auto, and for ``options``, which inverted indexes have.
    """

    takes: ClassVar[Kind] = "dense"

    def __init__(
        self, folder: str | Path | None, *, dtype: str = "float32", strategy: str = "auto", **options: Any
    ) -> None:
        if strategy != "auto" or options:
            wrong = f"engine.strategy={strategy}" if strategy != "auto" else f"engine.{next(iter(options))}"
            raise InputError(f"{wrong} is for inverted indexes; dense vectors are searched by auto, without options")
        self.folder, self.dtype = None if folder is None else Path(folder), dtype

    def build(self, documents: Documents) -> "OpenedDense":
        """Store ``documents``; as :meth:`splade.engines.protocol.Engine.build`. An interrupted build starts again.

        ``index_stats.json`` is written beside the index.
        """
        if self.folder is None:
            return OpenedDense(in_memory(documents, self.dtype))
        index = self._same(documents)
        if index is not None:
            logger.info("%s holds these documents already: %d", self.folder, index.n_docs)
            return OpenedDense(index)
        index = write_dense(
            self.folder,
            documents.batches(0),
            documents.vocab_size or 0,
            dtype=self.dtype,
            fingerprint=documents.fingerprint,
            metadata=documents.origin,
        )
        sizes = {"n_docs": index.n_docs, "width": index.width, "dtype": self.dtype}
        cut = {"cut_docs": documents.n_cut(0, index.n_docs)} if documents.n_cut else {}
        write_json(self.folder / "index_stats.json", sizes | cut)
        return OpenedDense(index)

    def open(self) -> "OpenedDense":
        """Open the index in the folder, memory-mapped."""
        if self.folder is None:
            raise InputError("an engine in memory has no folder to open: build it")
        return OpenedDense(DenseIndex.open(self.folder))

    def exists(self) -> bool:
        """True where the folder has a dense index."""
        return self.folder is not None and (self.folder / FOLDER).is_dir()

    def is_built(self, documents: Documents) -> bool:
        """True where `build` would keep the index that is there."""
        return self._same(documents) is not None

    def _same(self, documents: Documents) -> DenseIndex | None:
        if self.folder is None or not self.exists():
            return None
        try:
            index = DenseIndex.open(self.folder)
        except InputError as error:
            logger.warning("%s; it is built again", error)
            return None
        same = same_origin(OpenedDense(index), documents) and index.vectors.dtype.name == self.dtype
        return index if same else None


class OpenedDense:
    """A `DenseIndex` and a `DenseSearcher` as the protocol `Opened` has them."""

    takes: ClassVar[Kind] = "dense"
    vocabulary = None

    def __init__(self, index: DenseIndex) -> None:
        self.index, self.searcher = index, DenseSearcher(index)
        self.n_docs, self.vocab_size = index.n_docs, index.width
        self.fingerprint, self.metadata, self.path = index.fingerprint, index.metadata, index.path

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

        A block of documents is multiplied with many queries at once, so each query is given the mean of all.
        """
        refuse_other_kind(self, queries.vectors, DenseBatch)
        ids, matrix = queries.vectors
        began = time.perf_counter()
        found = self.searcher.search(ids, matrix, k, n_threads, threshold or -np.inf)
        if seconds is None:
            return found
        rankings = list(found)
        seconds += [(time.perf_counter() - began) / max(len(rankings), 1)] * len(rankings)
        return iter(rankings)

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that the index does not hold."""
        return unknown_in(self.index.doc_ids.numbers, doc_ids)

    def facts(self, queries: Queries | None = None) -> dict[str, Any]:
        """Engine, strategy, sizes and the type of numbers; with ``queries``, how many of them were cut."""
        sizes = {"n_docs": self.n_docs, "width": self.vocab_size, "dtype": self.index.vectors.dtype.name}
        told = {"engine": "dense", "strategy": DenseSearcher.strategy, "index": sizes}
        return told if queries is None or queries.n_cut is None else told | {"cut_queries": queries.n_cut}


def in_memory(documents: Documents, dtype: str = "float32") -> DenseIndex:
    """The index of ``documents``, all held in memory."""
    batches = list(documents.batches(0))
    ids = [id for batch in batches for id in batch.ids]
    empty = np.empty((0, documents.vocab_size or 0), np.float32)
    matrix = np.concatenate([empty, *(batch.matrix for batch in batches)]).astype(dtype)
    return DenseIndex.from_matrix(matrix, ids, fingerprint=documents.fingerprint, metadata=documents.origin)
