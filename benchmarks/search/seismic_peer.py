"""Seismic in Rust, through pyseismic-lsr: approximate; term numbers in, no strings."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, one_by_one, shared
from benchmarks.search.vectors import Vectors
from splade.engines.places.libraries.batches import counted

POINTS = [(3, 0.9), (4, 0.9), (5, 0.9), (8, 0.9), (12, 0.9)]  # query_cut, heap_factor


class Seismic(Engine):
    """``cut`` terms of a query and ``heap_factor`` trade recall for time.

    A list keeps ``kept`` postings on average. Threads of a batch are those of RAYON_NUM_THREADS when the process
    starts: the batch's own argument is passed as well.
    """

    package = "pyseismic-lsr"
    _opened: ClassVar[dict[Path, Any]] = {}

    def __init__(self, cut: int, heap_factor: float, kept: int, threads: int | None = None) -> None:
        self.cut, self.heap_factor, self.kept, self.threads = cut, heap_factor, kept, threads
        self.name = f"Seismic kept={kept} cut={cut} heap_factor={heap_factor}"
        self.index = f"Seismic-{kept}"

    def prepare(self, vectors: Vectors, inputs: Path) -> None:
        with (inputs / "documents.bin").open("wb") as stream:
            np.array([vectors.n_docs], np.uint32).tofile(stream)
            for _, rows in vectors.parts():
                _packed(rows).tofile(stream)

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        import seismic

        seismic.SeismicIndexRaw.build(
            str(inputs / "documents.bin"), n_postings=self.kept, centroid_fraction=0.1, summary_energy=0.4,
            max_fraction=6.0,
        ).save(str(folder / "documents"))  # fmt: skip

    def open(self, folder: Path) -> float:
        import seismic

        start = time.perf_counter()
        if folder not in self._opened:
            self._opened[folder] = seismic.SeismicIndexRaw.load(str(folder / "documents"))
        self.made, self.folder = self._opened[folder], folder
        return time.perf_counter() - start

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        return self._single(queries, k) if self.threads is None else self._batch(queries, k)

    def _single(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            start = self.clock()
            found = self.made.search(terms, weights, k, self.cut, self.heap_factor, 0, True)
            return [doc for _, doc in found], self.clock() - start

        return one_by_one(queries, k, answer)

    def _batch(self, queries: sp.csr_matrix, k: int) -> Answer:
        path = self.folder / "queries.bin"
        with path.open("wb") as stream:
            np.array([queries.shape[0]], np.uint32).tofile(stream)
            _packed(queries).tofile(stream)
        start = self.clock()
        answers = self.made.batch_search(str(path), k, self.cut, self.heap_factor, 0, True, self.threads)
        spent = self.clock() - start
        path.unlink()
        docs = np.full((queries.shape[0], k), -1, np.int64)
        for q, found in enumerate(answers):
            docs[q, : len(found)] = [doc for _, doc in found]
        return docs, shared(spent, queries.shape[0])


def _packed(rows: sp.csr_matrix) -> np.ndarray:
    """Rows of its files."""
    return counted(rows.indptr.astype(np.int64), rows.indices, rows.data.astype(np.float32))
