"""BMP (Block-Max Pruning) in Rust, through the package bmp: impacts of one byte, whole query weights up to 32.

Building and asking are those of `splade.engines.places.libraries.bmp`, which deals with what version 0.2.8 leaves out:
the block of the lowest bound above the threshold, and documents that only reach the threshold.
"""

import time
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.engine import Answer, Engine
from benchmarks.search.orders import CLUSTERED, GIVEN, order_of, suffix
from benchmarks.search.vectors import Vectors
from splade.engines.places.libraries.batches import Part
from splade.engines.places.libraries.bmp import BmpSearching, BmpStore
from splade.files import read_json, write_json
from splade.records import SparseRows

AT_ONCE = 20_000  # documents that are taken from the matrix at a time


class Bmp(Engine):
    """Exact on its impacts with ``alpha`` and ``beta`` 1.

    Blocks have ``block_size`` documents, in the order given or clustered. With a smaller ``alpha`` a search
    ends once no bound is above that share of the k-th score; ``beta`` is the share of a query's terms that count.
    """

    package = "bmp"
    _loaded: ClassVar[dict[Path, Any]] = {}

    def __init__(self, block_size: int, order: str = GIVEN, alpha: float = 1.0, beta: float = 1.0) -> None:
        shares = [f"{name}={share}" for name, share in (("alpha", alpha), ("beta", beta)) if share < 1]
        self.name = " ".join([f"BMP block={block_size}", *shares]) + suffix(order)
        self.index = f"BMP-{block_size}" + f"-{order}" * (order == CLUSTERED)
        self.block_size, self.order, self.alpha, self.beta = block_size, order, alpha, beta
        self.exact = alpha == beta == 1

    def _store(self, folder: Path) -> BmpStore:
        building = {"block_size": self.block_size, "compress_range": False, "order": GIVEN}
        return BmpStore(folder, building, None, self.alpha, self.beta)

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        order = order_of(self.order, vectors)
        parts: Any = Ordered(vectors, order)
        write_json(folder / "facts.json", self._store(folder).make(parts, folder))
        (folder / "build.log").unlink(missing_ok=True)

    def open(self, folder: Path) -> float:
        start = time.perf_counter()
        if folder not in self._loaded:
            self._loaded[folder] = self._store(folder).opened(folder, read_json(folder / "facts.json"))
        seconds = time.perf_counter() - start
        self._searching: BmpSearching = copy(self._loaded[folder])
        self._searching._store = self._store(folder)
        self._searching._searcher = self._native = Timed(self._searching._searcher, self)
        self.folder = folder
        return seconds

    def close(self) -> None:
        self._loaded.pop(self.folder, None)
        del self._searching, self._native

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        docs, seconds = np.full((queries.shape[0], k), -1, np.int64), np.empty(queries.shape[0])
        for q in range(queries.shape[0]):
            part = slice(queries.indptr[q], queries.indptr[q + 1])
            terms, weights = queries.indices[part], queries.data[part]
            row = SparseRows(np.array([0, len(terms)]), terms.astype(np.int32), weights)
            self._native.seconds = 0.0
            found = self._searching.search(row, k)[0].numbers
            seconds[q] = self._native.seconds
            docs[q, : len(found)] = found
        return docs, seconds


class Timed:
    """The native searcher, which counts the seconds of its own calls."""

    def __init__(self, native: Any, engine: Engine) -> None:
        self._native, self._clock, self.seconds = native, engine.clock, 0.0

    def search(self, query: dict[str, float], limit: int, alpha: float, beta: float) -> tuple[list[str], list[float]]:
        """As the native one."""
        start = self._clock()
        found: tuple[list[str], list[float]] = self._native.search(query, limit, alpha, beta)
        self.seconds += self._clock() - start
        return found


class Ordered:
    """The documents of a collection in an order, as the store of BMP reads them."""

    def __init__(self, vectors: Vectors, order: NDArray[np.int64]) -> None:
        self._matrix, self._order = vectors.matrix(), order
        self.n_docs, self.n_terms = vectors.n_docs, vectors.vocab_size
        weights = self._matrix.data
        self.largest, self.whole = float(weights.max(initial=0)), bool((weights == np.rint(weights)).all())

    def __iter__(self) -> Iterator[Part]:
        for start in range(0, self.n_docs, AT_ONCE):
            numbers = self._order[start : start + AT_ONCE]
            rows = self._matrix[numbers]
            columns = rows.indices.astype(np.int32)
            yield Part(numbers, SparseRows(rows.indptr.astype(np.int64), columns, rows.data))
