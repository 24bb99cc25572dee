"""The engines that are compared: each builds from a CSR matrix and answers a batch of queries.

``search`` returns document numbers [Q, k] (-1 where there is none) and seconds per query, taken
around the engine's own native call: conversions of queries and results do not count.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from splade import InvertedIndex, Searcher

Answer = tuple[NDArray[np.int64], NDArray[np.float64]]


class Engine(Protocol):
    """One engine with one setting."""

    name: str
    bytes: int  # of the index, on disk or in memory

    def build(self, documents: sp.csr_matrix, folder: Path) -> None: ...

    def search(self, queries: sp.csr_matrix, k: int) -> Answer: ...


def one_by_one(queries: sp.csr_matrix, k: int, answer: Callable[[Any, Any], tuple[Any, float]]) -> Answer:
    """Ask query by query; ``answer`` gives documents and seconds for terms and weights."""
    docs = np.full((queries.shape[0], k), -1, np.int64)
    seconds = np.empty(queries.shape[0])
    for q in range(queries.shape[0]):
        part = slice(queries.indptr[q], queries.indptr[q + 1])
        found, seconds[q] = answer(queries.indices[part], queries.data[part])
        docs[q, : min(k, len(found))] = found[:k]
    return docs, seconds


class Ours:
    """This project's searcher, one call for the batch."""

    def __init__(self, strategy: str, weights: str = "float32", n_threads: int = 1, **options: Any) -> None:
        shown = "".join(f" {key}={value}" for key, value in options.items())
        kept = "" if weights == "float32" else f" {weights}"
        self.name = f"splade {strategy}{shown}{kept}"
        self.strategy, self.weights, self.options, self.n_threads = strategy, weights, options, n_threads

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        path = folder / f"splade-{self.weights}"
        if not path.exists():
            InvertedIndex.from_csr(documents, weights=self.weights).save(path)
        index = InvertedIndex.open(path, verify=False)
        self.bytes = sum(array.nbytes for name, array in index.arrays.items() if name not in ("columns", "weights"))
        self.searcher = Searcher(index, self.strategy, **self.options)

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        clock = time.thread_time if self.n_threads == 1 else time.perf_counter
        start = clock()
        docs, _ = self.searcher.search_csr(queries, k, n_threads=self.n_threads)
        return docs.astype(np.int64), np.full(len(docs), (clock() - start) / len(docs))


class Scipy:
    """SciPy: the query's row times the transposed documents, then argpartition."""

    name = "scipy"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        self.postings = documents.T.tocsr()
        self.bytes = self.postings.data.nbytes + self.postings.indices.nbytes

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            row = sp.csr_matrix((weights, terms, [0, len(terms)]), shape=(1, self.postings.shape[0]))
            start = time.thread_time()
            scores = row @ self.postings
            cut = min(k, scores.nnz)
            best = np.argpartition(-scores.data, cut - 1)[:cut]
            found = scores.indices[best]
            return found, time.thread_time() - start

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


class DictOfLists:
    """The classic scheme of SPLADE code bases: a dictionary of posting arrays, float scores of all documents."""

    name = "numba dict of arrays"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        columns = documents.tocsc()
        self.docs, self.weights = numba.typed.Dict(), numba.typed.Dict()
        for term in range(documents.shape[1]):
            part = slice(columns.indptr[term], columns.indptr[term + 1])
            self.docs[term] = columns.indices[part].astype(np.int32)
            self.weights[term] = columns.data[part].astype(np.float32)
        self.n_docs, self.bytes = documents.shape[0], 8 * documents.nnz

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            start = time.thread_time()
            docs, scores = _score_lists(self.docs, self.weights, terms.astype(np.int64), weights, self.n_docs)
            if len(docs) > k:
                docs = docs[np.argpartition(scores, k)[:k]]
            return docs, time.thread_time() - start

        return one_by_one(queries, k, answer)


class SpladeIndex:
    """The package splade-index: its scoring and selection kernels on the columns (its API wants a model)."""

    name = "splade-index"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        from splade_index.numba import retrieve_utils, selection

        self.score = retrieve_utils._compute_relevance_from_scores_jit_ready
        self.select = selection._numba_sorted_top_k
        self.columns, self.n_docs = documents.tocsc(), documents.shape[0]
        self.bytes = 8 * documents.nnz

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            start = time.thread_time()
            scores = self.score(
                data=self.columns.data, indptr=self.columns.indptr, indices=self.columns.indices, num_docs=self.n_docs,
                query_tokens_ids=terms, query_tokens_weights=weights, dtype=np.dtype(np.float32),
            )  # fmt: skip
            found = self.select(scores, k=k, sorted=True)[1]
            return found, time.thread_time() - start

        return one_by_one(queries, k, answer)


class Sindi:
    """VSAG's SINDI, through pyvsag: exact without quantisation and pruning."""

    name = "SINDI"

    def build(self, documents: sp.csr_matrix, folder: Path) -> None:
        import json

        import pyvsag

        pyvsag.set_logger_off()
        settings = {
            "dtype": "sparse", "metric_type": "ip", "dim": 512,
            "index_param": {
                "term_id_limit": documents.shape[1], "window_size": 50000, "doc_prune_ratio": 0.0,
                "use_quantization": False, "use_reorder": False, "avg_doc_term_length": 120,
            },
        }  # fmt: skip
        self.index = pyvsag.Index("sindi", json.dumps(settings))
        self.index.build(
            index_pointers=documents.indptr.astype(np.uint32), indices=documents.indices.astype(np.uint32),
            values=documents.data, ids=np.arange(documents.shape[0], dtype=np.int64),
        )  # fmt: skip
        self.bytes = 0

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        parameters = f'{{"sindi": {{"query_prune_ratio": 0.0, "term_prune_ratio": 0.0, "n_candidate": {k}}}}}'

        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            pointers, numbers = np.array([0, len(terms)], np.uint32), terms.astype(np.uint32)
            start = time.thread_time()
            found, _ = self.index.knn_search(pointers, numbers, weights, k, parameters)
            return np.asarray(found).ravel(), time.thread_time() - start

        return one_by_one(queries, k, answer)
