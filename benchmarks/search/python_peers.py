"""Engines that search posting lists from Python: SciPy, a dictionary of arrays, splade-index."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numba
import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, one_by_one
from benchmarks.search.vectors import PARTS, Vectors


class Lists(Engine):
    """Plain posting lists in memory: the documents transposed. Engines that need no more share them."""

    index = "posting-lists"
    _opened: ClassVar[dict[Path, sp.csr_matrix]] = {}

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        postings = vectors.matrix().T.tocsr()
        np.save(folder / "shape.npy", postings.shape)
        for name in PARTS:
            np.save(folder / f"{name}.npy", getattr(postings, name))

    def open(self, folder: Path) -> float:
        start = time.perf_counter()
        if folder not in self._opened:
            arrays = tuple(np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr"))
            self._opened[folder] = sp.csr_matrix(arrays, shape=tuple(np.load(folder / "shape.npy")))
        self.postings, self.folder = self._opened[folder], folder
        self.n_docs = self.postings.shape[1]
        return time.perf_counter() - start

    def close(self) -> None:
        self._opened.pop(self.folder, None)
        del self.postings


class Scipy(Lists):
    """SciPy: the query's row times the transposed documents, then argpartition."""

    name, package = "scipy", "scipy"

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            row = sp.csr_matrix((weights, terms, [0, len(terms)]), shape=(1, self.postings.shape[0]))
            start = self.clock()
            scores = row @ self.postings
            cut = min(k, scores.nnz)
            best = np.argpartition(-scores.data, cut - 1)[:cut]
            found = scores.indices[best]
            return found, self.clock() - start

        return one_by_one(queries, k, answer)


@numba.njit(cache=True)
def _score_lists(docs, weights, terms, factors, n_docs):  # type: ignore[no-untyped-def]
    scores = np.zeros(n_docs, np.float32)
    for i in range(terms.size):
        listed, values = docs[terms[i]], weights[terms[i]]
        for p in range(listed.size):
            scores[listed[p]] += factors[i] * values[p]
    hits = np.argwhere(scores > 0)[:, 0]
    return hits, -scores[hits]


class DictOfLists(Lists):
    """The classic scheme of SPLADE code bases: a dictionary of posting arrays, float scores of all documents."""

    name, package, largest = "numba dict of arrays", "numba", 1_000_000

    def open(self, folder: Path) -> float:
        start = time.perf_counter()
        super().open(folder)
        self.docs, self.weights = numba.typed.Dict(), numba.typed.Dict()
        for term in range(self.postings.shape[0]):
            part = slice(self.postings.indptr[term], self.postings.indptr[term + 1])
            self.docs[term], self.weights[term] = self.postings.indices[part], self.postings.data[part]
        return time.perf_counter() - start

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            numbers = terms.astype(np.int64)
            start = self.clock()
            docs, scores = _score_lists(self.docs, self.weights, numbers, weights, self.n_docs)
            if len(docs) > k:
                docs = docs[np.argpartition(scores, k)[:k]]
            return docs, self.clock() - start

        return one_by_one(queries, k, answer)


class SpladeIndex(Lists):
    """The package splade-index: its scoring and selection kernels on the lists (its API wants a model)."""

    name, package = "splade-index", "splade-index"

    def open(self, folder: Path) -> float:
        from splade_index.numba import retrieve_utils, selection

        self.score = retrieve_utils._compute_relevance_from_scores_jit_ready
        self.select = selection._numba_sorted_top_k
        return super().open(folder)

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        lists, kept = self.postings, min(k, self.n_docs)

        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            start = self.clock()
            scores = self.score(
                data=lists.data, indptr=lists.indptr, indices=lists.indices, num_docs=self.n_docs,
                query_tokens_ids=terms, query_tokens_weights=weights, dtype=np.dtype(np.float32),
            )  # fmt: skip
            found = self.select(scores, k=kept, sorted=True)[1]
            return found, self.clock() - start

        return one_by_one(queries, k, answer)
