"""Seismic in Rust, through pyseismic-lsr: approximate, at its published settings and at a sweep of our own.

Its repository publishes the settings of the fastest search for each recall and each budget of memory, a multiple of
what the vectors alone take, for SPLADE on 8.8 million passages and k = 10 (experiments/best_configs, msmarco-v1,
splade-cocondenser). A list keeps so many postings on average; here it keeps as many fewer as there are fewer documents.
"""

import json
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, one_by_one, shared
from benchmarks.search.vectors import Vectors
from splade.engines.places.libraries.batches import counted

PUBLISHED_DOCS = 8_841_823  # passages of MS MARCO, which the published settings are for


class Build(NamedTuple):
    """How an index is made: ``kept`` postings in a list on average."""

    kept: int
    centroids: float = 0.1  # clusters for each posting of a list
    energy: float = 0.4  # share of a summary's weight that is kept
    smallest: int = 2  # documents in a cluster
    longest: float = 6.0  # postings of a list, over the average
    compressed: bool = False  # vectors by its DotVByte

    @property
    def folder(self) -> str:
        """The name of the index."""
        own = "-".join(f"{value:g}" for value in self[1:5])
        plain = self[1:5] == Build(0)[1:5]
        return f"Seismic-{self.kept}" + f"-{own}" * (not plain) + "-dotvbyte" * self.compressed


class Ask(NamedTuple):
    """How it is searched."""

    cut: int  # query_cut: lists that are read
    heap_factor: float
    by_rank: bool = True  # summaries of the first list in their order


class Preset(NamedTuple):
    """A published setting, ``kept`` for `PUBLISHED_DOCS`."""

    budget: float  # memory, over that of the vectors
    recall: int  # percent that it reached
    build: Build
    ask: Ask


PRESETS = (
    Preset(1.0, 97, Build(2000, 0.2, 0.4, 5, 6.0, True), Ask(10, 0.7)),
    Preset(1.5, 95, Build(2000, 0.2, 0.5, 2, 4.0), Ask(10, 0.9, False)),
    Preset(1.5, 97, Build(2000, 0.2, 0.5, 2, 4.0), Ask(12, 0.8, False)),
    Preset(1.5, 99, Build(3000, 0.1, 0.4, 10, 4.0), Ask(10, 0.7)),
    Preset(2.0, 97, Build(4000, 0.2, 0.5, 2, 4.0), Ask(4, 0.9, False)),
    Preset(2.0, 99, Build(4000, 0.2, 0.5, 2, 4.0), Ask(6, 0.8)),
)
POINTS = [Ask(3, 0.9), Ask(4, 0.9), Ask(5, 0.9), Ask(8, 0.9), Ask(12, 0.9)]
FAR = [*POINTS, Ask(12, 0.8), Ask(20, 0.8), Ask(20, 0.7), Ask(40, 0.7)]  # for flat weights and large k


class Seismic(Engine):
    """Threads of a batch are those of RAYON_NUM_THREADS when the process starts: the argument is passed as well."""

    package = "pyseismic-lsr"
    exact = False
    _opened: ClassVar[dict[Path, Any]] = {}

    def __init__(self, ask: Ask, build: Build, threads: int | None = None, preset: Preset | None = None) -> None:
        self.ask, self.made_by, self.threads = ask, build, threads
        published = f" preset {preset.budget:g}× .{preset.recall}" if preset else ""
        how = f"cut={ask.cut} heap_factor={ask.heap_factor}" + " any order" * (not ask.by_rank)
        self.name = f"Seismic{published}{' DotVByte' * build.compressed} kept={build.kept} {how}"
        self.index = build.folder

    def prepare(self, vectors: Vectors, inputs: Path) -> None:
        write = _write_lines if self.made_by.compressed else _write_packed
        write(vectors, inputs / ("documents.jsonl" if self.made_by.compressed else "documents.bin"))

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        import seismic

        made, name = (
            (seismic.SeismicIndexDotVByte, "documents.jsonl")
            if self.made_by.compressed
            else (seismic.SeismicIndexRaw, "documents.bin")
        )
        extra = {"load_content": False} if self.made_by.compressed else {}
        made.build(
            str(inputs / name), n_postings=self.made_by.kept, centroid_fraction=self.made_by.centroids,
            summary_energy=self.made_by.energy, min_cluster_size=self.made_by.smallest,
            max_fraction=self.made_by.longest, **extra,
        ).save(str(folder / "documents"))  # fmt: skip
        np.save(folder / "vocab_size.npy", vectors.vocab_size)

    def open(self, folder: Path) -> float:
        import seismic

        start = time.perf_counter()
        if folder not in self._opened:
            made = seismic.SeismicIndexDotVByte if self.made_by.compressed else seismic.SeismicIndexRaw
            saved = next(path for path in sorted(folder.glob("documents*")))
            path = str(saved if self.made_by.compressed else folder / "documents")
            self._opened[folder] = made.load(path)
        self.made, self.folder = self._opened[folder], folder
        if self.made_by.compressed:
            terms = range(int(np.load(folder / "vocab_size.npy")))
            self.words = np.array([str(term) for term in terms], seismic.get_seismic_string())
        return time.perf_counter() - start

    def close(self) -> None:
        self._opened.pop(self.folder, None)
        self.made = None

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        if self.threads is not None:
            return self._batch(queries, k)
        return one_by_one(queries, k, self._by_words(k) if self.made_by.compressed else self._by_numbers(k))

    def _by_numbers(self, k: int) -> Any:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            start = self.clock()
            found = self.made.search(terms, weights, k, self.ask.cut, self.ask.heap_factor, 0, self.ask.by_rank)
            return [doc for _, doc in found], self.clock() - start

        return answer

    def _by_words(self, k: int) -> Any:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            words = self.words[terms]
            start = self.clock()
            found = self.made.search("", words, weights, k, self.ask.cut, self.ask.heap_factor, 0, self.ask.by_rank)
            seconds = self.clock() - start
            return [int(doc) for *_, doc in found], seconds

        return answer

    def _batch(self, queries: sp.csr_matrix, k: int) -> Answer:
        path = self.folder / "queries.bin"
        with path.open("wb") as stream:
            np.array([queries.shape[0]], np.uint32).tofile(stream)
            _packed(queries).tofile(stream)
        start = self.clock()
        answers = self.made.batch_search(
            str(path), k, self.ask.cut, self.ask.heap_factor, 0, self.ask.by_rank, self.threads
        )
        spent = self.clock() - start
        path.unlink()
        docs = np.full((queries.shape[0], k), -1, np.int64)
        for q, found in enumerate(answers):
            docs[q, : len(found)] = [doc for _, doc in found]
        return docs, shared(spent, queries.shape[0])


def published(n_docs: int) -> list[Seismic]:
    """The published settings for this many documents."""
    found = []
    for preset in PRESETS:
        kept = max(5, round(preset.build.kept * n_docs / PUBLISHED_DOCS))
        found.append(Seismic(preset.ask, preset.build._replace(kept=kept), preset=preset))
    return found


def _packed(rows: sp.csr_matrix) -> np.ndarray:
    """Rows of its files."""
    return counted(rows.indptr.astype(np.int64), rows.indices, rows.data.astype(np.float32))


def _write_packed(vectors: Vectors, path: Path) -> None:
    with path.open("wb") as stream:
        np.array([vectors.n_docs], np.uint32).tofile(stream)
        for _, rows in vectors.parts():
            _packed(rows).tofile(stream)


def _write_lines(vectors: Vectors, path: Path) -> None:
    with path.open("w") as stream:
        for first, rows in vectors.parts():
            for row in range(rows.shape[0]):
                part = slice(rows.indptr[row], rows.indptr[row + 1])
                pairs = zip(map(str, rows.indices[part].tolist()), rows.data[part].tolist(), strict=True)
                stream.write(json.dumps({"id": str(first + row), "content": "", "vector": dict(pairs)}) + "\n")
