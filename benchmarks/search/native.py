"""Engines in C++, Rust and Java, with the files or objects that they are built from."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engines import Answer, one_by_one

IMPACT = 100  # PISA and Lucene take whole numbers: weights times this, rounded down, at least 1


def impacts(matrix: sp.csr_matrix) -> np.ndarray:
    """Weights as the whole numbers that impact engines index."""
    return np.maximum(np.floor(matrix.data * IMPACT), 1).astype(np.int32)


class Pisa:
    """PISA through pyterrier-pisa, quantised to 8 bits; one retrieval algorithm each."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm, self.name = algorithm, f"PISA {algorithm}"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        from pyterrier_pisa import PisaIndex, _pisathon

        path = folder / "pisa"
        if not (path / "pt_meta.json").exists():
            _write_pisa(documents, path, _pisathon)
        index = PisaIndex(str(path), stemmer="none", stops="none")
        self.retriever, self.native = index.quantized(num_results=10), _pisathon
        self.bytes = sum(file.stat().st_size for file in path.iterdir() if not file.name.startswith(("inv", "fwd")))

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            whole = np.maximum(np.floor(weights * IMPACT), 1)
            query = [(0, {f"t{t:05d}": float(w) for t, w in zip(terms, whole, strict=True)})]
            numbers, names = np.empty(k, np.int32), np.empty(k, object)
            ranks, scores = np.empty(k, np.int32), np.empty(k, np.float32)
            start = time.thread_time()
            n = self.native.retrieve(
                self.retriever._ctxt, self.algorithm, query, k=k, threads=1, query_weighted=1, pretokenised=True,
                result_qidxs=numbers, result_docnos=names, result_ranks=ranks, result_scores=scores,
            )  # fmt: skip
            return [int(name) for name in names[:n]], time.thread_time() - start

        return one_by_one(queries, k, answer)


def _write_pisa(documents: sp.csr_matrix, path: Path, native: Any) -> None:
    """PISA's plain binary collection: lists of documents and impacts by term, then names and lexicons."""
    path.mkdir(parents=True, exist_ok=True)
    whole = sp.csr_matrix((impacts(documents), documents.indices, documents.indptr), shape=documents.shape)
    columns, n_docs = whole.tocsc(), documents.shape[0]
    terms = np.flatnonzero(np.diff(columns.indptr))
    with (path / "inv.docs").open("wb") as docs, (path / "inv.freqs").open("wb") as freqs:
        np.array([1, n_docs], np.uint32).tofile(docs)
        for term in terms:
            part = slice(columns.indptr[term], columns.indptr[term + 1])
            length = np.array([part.stop - part.start], np.uint32)
            for stream, values in ((docs, columns.indices[part]), (freqs, columns.data[part])):
                length.tofile(stream)
                values.astype(np.uint32).tofile(stream)
    with (path / "inv.sizes").open("wb") as sizes:
        np.array([n_docs], np.uint32).tofile(sizes)
        np.asarray(whole.sum(1)).ravel().astype(np.uint32).tofile(sizes)
    (path / "fwd.terms").write_text("".join(f"t{term:05d}\n" for term in terms))
    (path / "fwd.documents").write_text("".join(f"{doc}\n" for doc in range(n_docs)))
    for name, lexicon in (("documents", "doclex"), ("terms", "termlex")):
        native.build_binlex(str(path / f"fwd.{name}"), str(path / f"fwd.{lexicon}"))
    description = {"type": "sparse_index", "format": "pisa", "package_hint": "pyterrier-pisa", "stemmer": "none"}
    (path / "pt_meta.json").write_text(json.dumps(description))


class Seismic:
    """Seismic through pyseismic-lsr: approximate; ``cut`` query terms and ``heap_factor`` trade recall for time."""

    _built: ClassVar[dict[Path, Any]] = {}

    def __init__(self, cut: int, heap_factor: float, n_postings: int | None = None) -> None:
        self.cut, self.heap_factor, self.n_postings = cut, heap_factor, n_postings
        self.name = f"Seismic cut={cut} heap_factor={heap_factor}"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        import seismic

        kept = self.n_postings or min(4000, documents.shape[0] // 250)  # by term; the index's main setting
        path = folder / f"seismic-{kept}"
        file = Path(f"{path}.index.seismic")
        self.terms = np.array([f"t{i:05d}" for i in range(documents.shape[1])], seismic.get_seismic_string())
        if not file.exists():
            dataset = seismic.SeismicDataset()
            for doc in range(documents.shape[0]):
                part = slice(documents.indptr[doc], documents.indptr[doc + 1])
                dataset.add_document(str(doc), self.terms[documents.indices[part]], documents.data[part])
            seismic.SeismicIndex.build_from_dataset(
                dataset, n_postings=kept, centroid_fraction=0.1, summary_energy=0.4, nknn=0, max_fraction=6.0
            ).save(str(path))
        if path not in self._built:
            self._built[path] = seismic.SeismicIndex.load(str(file))
        self.index, self.bytes = self._built[path], file.stat().st_size

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            words = self.terms[terms]
            start = time.thread_time()
            found = self.index.search("0", words, weights, k, self.cut, self.heap_factor, n_knn=0, sorted=True)
            return [int(hit[2]) for hit in found], time.thread_time() - start

        return one_by_one(queries, k, answer)


class Lucene:
    """Lucene with whole-number impacts, from the Anserini jar that ANSERINI_JAR names; its own process."""

    name = "Lucene"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        self.folder = folder / "lucene"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "index").exists():
            _write_rows(self.folder / "documents.bin", documents)
        source = Path(__file__).with_name("LuceneServer.java")
        command = ["java", "-Xmx6g", "-cp", os.environ["ANSERINI_JAR"], str(source), str(self.folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            raise RuntimeError("Lucene did not start")
        self.bytes = sum(file.stat().st_size for file in (self.folder / "index").iterdir())

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        _write_rows(self.folder / "queries.bin", queries)
        assert self.process.stdin
        self.process.stdin.write(f"{k}\n")
        self.process.stdin.flush()
        docs, seconds = np.full((queries.shape[0], k), -1, np.int64), np.empty(queries.shape[0])
        for q in range(queries.shape[0]):
            nanoseconds, *found = (int(value) for value in self._line().split())
            seconds[q] = nanoseconds / 1e9
            docs[q, : len(found)] = found
        return docs, seconds

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def _write_rows(path: Path, matrix: sp.csr_matrix) -> None:
    with path.open("wb") as stream:
        np.array([matrix.shape[0], matrix.nnz], np.int64).tofile(stream)
        for array in (matrix.indptr, matrix.indices, impacts(matrix)):
            array.astype(np.int32).tofile(stream)
