"""Approximate search: the bounds of blocks are taken for less than they are, as far as recall allows."""

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.kernels.block_max import STREAM
from splade.kernels.cluster import rows_of
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import from_matrix
from splade.kernels.topk import decode, score_bits
from splade.records import SparseRows
from splade.search.blocked import LENGTHS, Auto
from splade.search.work import Work

logger = logging.getLogger(__name__)

SHARES = np.array([1.0, 0.95, 0.9, 0.86, 0.82, 0.78, 0.74, 0.7, 0.66, 0.62, 0.58, 0.54, 0.5, 0.45, 0.4], np.float32)
QUERY_TERMS = (4, 8, 16, 32, 64)  # lengths for which made-up queries are tried
SAMPLE = 48  # of each length
MARGIN = 0.25  # of the misses that are allowed, kept back: other queries are not those of the sample


class Approximate(Auto):
    """Block-max search that finds at least the share ``recall`` of the k best documents, on average.

    A block is left out when a share of its bound is below the bar. The share is the smallest that kept the
    recall on a sample of queries: ``queries``, a matrix like those searched, or queries made of
    heavy terms of documents drawn by ``seed``. It is chosen for each k and each length of query, when
    such a k is first asked for (where bounds do not pay, all documents are scored, as by `Auto`, and the result
    is exact); ``calibration(k)`` tells what was chosen and the recall measured.
    """

    def __init__(self, index: InvertedIndex, *, recall: float = 0.99, queries: Any = None, seed: int = 0) -> None:
        super().__init__(index)
        if not 0 < recall <= 1:
            raise ValueError(f"recall must be above 0 and at most 1, got {recall}")
        self.recall = recall
        self._given = None if queries is None else from_matrix(queries, index.vocab_size)
        if self._given is not None and self._given.n_columns not in (None, index.vocab_size):
            raise InputError(f"queries over {self._given.n_columns} terms cannot calibrate {index.vocab_size} terms")
        self._index, self._seed = index, seed
        self._chosen: dict[int, tuple[NDArray[np.float32], dict[int, tuple[float, float]]]] = {}
        self._drawn: SparseRows | None = None
        self._lock = threading.Lock()

    def shares(self, k: int) -> NDArray[np.float32]:
        """The share of a bound that counts, by bit length of the number of query terms."""
        return self._calibrated(k)[0]

    def calibration(self, k: int) -> dict[int, tuple[float, float]]:
        """The share chosen and the recall measured on the sample, by query length (the upper end of its group)."""
        return self._calibrated(k)[1]

    def _calibrated(self, k: int) -> tuple[NDArray[np.float32], dict[int, tuple[float, float]]]:
        with self._lock:
            if k not in self._chosen:
                self._chosen[k] = (self._shares, {}) if self.plan(k) == STREAM else self._calibrate(k)
                for length, (share, measured) in self._chosen[k][1].items():
                    logger.info("k=%d, %d terms: share %.2f, recall %.4f", k, length, share, measured)
            return self._chosen[k]

    def _calibrate(self, k: int) -> tuple[NDArray[np.float32], dict[int, tuple[float, float]]]:
        """Try every group of the sample with falling shares, as long as recall stays above the target."""
        target = self.recall + MARGIN * (1 - self.recall)
        found: dict[int, tuple[float, float]] = {}
        for bits, queries in self._sample().items():
            exact = self._scores(queries, k, 1.0)
            best = (1.0, 1.0)
            for share in SHARES[1:]:
                measured = _recall(self._scores(queries, k, float(share)), exact)
                if measured < target:
                    break
                best = (float(share), measured)
            found[bits] = best
        known = sorted(found)
        shares = np.interp(np.arange(LENGTHS), known, [found[bits][0] for bits in known]).astype(np.float32)
        return read_only(shares), {(1 << bits) - 1: found[bits] for bits in known}

    def _scores(self, queries: SparseRows, k: int, share: float) -> NDArray[np.float32]:
        """The scores found, best first, [Q, k]."""
        n_queries = len(queries.offsets) - 1
        keys, counts = np.zeros((n_queries, k), np.uint64), np.zeros((n_queries, 3), np.int64)
        every = read_only(np.full(LENGTHS, share, np.float32))
        self._run(Work(queries, 0, n_queries, k, score_bits(0), read_only(np.empty(0, np.uint8)), keys, counts), every)
        keys.sort(axis=1)
        return decode(keys[:, ::-1])[1]

    def _sample(self) -> dict[int, SparseRows]:
        """Queries to try, by bit length of their number of terms."""
        if self._given is None:
            return {terms.bit_length(): self._made_up(terms) for terms in QUERY_TERMS}
        offsets, columns, weights = self._given.rows
        lengths = np.diff(offsets)
        groups: dict[int, SparseRows] = {}
        for bits in {int(length).bit_length() for length in lengths if length}:
            rows = [q for q, length in enumerate(lengths) if int(length).bit_length() == bits]
            places = np.concatenate([np.arange(offsets[q], offsets[q + 1]) for q in rows])
            starts = np.concatenate([[0], np.cumsum(lengths[rows])])
            groups[bits] = read_only_rows(SparseRows(starts, columns[places], weights[places]))
        return groups or {1: self._made_up(1)}

    def _documents(self) -> SparseRows:
        """Some documents, drawn once: finding them reads all postings."""
        if self._drawn is None:
            n_docs = self._index.n_docs
            rng = np.random.default_rng(self._seed)
            chosen = np.sort(rng.choice(n_docs, min(4 * SAMPLE, n_docs), replace=False))
            self._drawn = rows_of(read_only_rows(self._index.postings), n_docs, chosen)
        return self._drawn

    def _made_up(self, n_terms: int) -> SparseRows:
        """Queries of ``n_terms`` terms: some of a document's heavier ones, their weights shaken."""
        rng, documents = np.random.default_rng([self._seed, n_terms]), self._documents()
        parts: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        for begin, end in zip(documents.offsets[:-1], documents.offsets[1:], strict=True):
            heavy = begin + np.argsort(-documents.weights[begin:end])[: 2 * n_terms]
            taken = np.sort(rng.permutation(heavy)[:n_terms])
            if len(taken) == n_terms and len(parts) < SAMPLE:
                shaken = documents.weights[taken] * np.exp(0.3 * rng.standard_normal(n_terms))
                parts.append((documents.columns[taken], shaken.astype(np.float32)))
        columns = np.concatenate([np.empty(0, np.int32), *(terms for terms, _ in parts)])
        weights = np.concatenate([np.empty(0, np.float32), *(values for _, values in parts)])
        return read_only_rows(SparseRows(np.arange(len(parts) + 1, dtype=np.int64) * n_terms, columns, weights))


def _recall(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Share of the true results whose rank is filled by a score as high; 1 without any."""
    last = np.where(exact > 0, exact, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    wanted = np.count_nonzero(exact > 0)
    return float(np.count_nonzero(found >= last) / wanted) if wanted else 1.0
