"""Approximate search: the bounds of blocks are taken for less than they are, as far as recall allows."""

import logging
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.indexing.layout.calibration import DOCUMENTS, K_GRID, SHAPE, SHARES, calibrate
from splade.kernels.block_max import STREAM
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import from_matrix
from splade.records import SparseRows
from splade.search.strategies.blocked import LENGTHS, Auto

logger = logging.getLogger(__name__)

MARGIN = 0.25  # of the misses that are allowed, kept back: other queries are not those of the sample


class Approximate(Auto):
    """Block-max search that finds at least the share ``recall`` of the k best documents, on average.

    A block is left out when a share of its bound is below the bar. The share is the smallest that kept the
    recall on a sample of queries, for each k and each length of query. The sample is ``queries``, a matrix like
    those searched. Without it, queries are made of documents: by the calibration stored with the index, or else
    at the first search, with ``seed`` (`splade.indexing.layout.calibration`). Between two k that were tried, the
    larger of their shares holds. With a recall of 1, beyond the largest k tried, and where bounds do not pay, the
    result is exact. ``calibration(k)`` returns the share chosen and the recall measured.
    """

    def __init__(self, index: InvertedIndex, *, recall: float = 0.99, queries: Any = None, seed: int = 0) -> None:
        super().__init__(index)
        if not 0 < recall <= 1:
            raise ValueError(f"recall must be above 0 and at most 1, got {recall}")
        self.recall = recall
        self._given: SparseRows | None = None
        if queries is not None:
            given = from_matrix(queries, index.vocab_size)
            if given.n_columns not in (None, index.vocab_size):
                raise InputError(f"queries over {given.n_columns} terms cannot calibrate {index.vocab_size} terms")
            self._given = read_only_rows(given.rows)
        self._index, self._seed = index, seed
        self._measured: NDArray[np.float32] | None = None
        self._chosen: dict[int, tuple[NDArray[np.float32], dict[int, tuple[float, float]]]] = {}
        self._lock = threading.Lock()

    def shares(self, k: int) -> NDArray[np.float32]:
        """The share of a bound that counts, by bit length of the number of query terms."""
        chosen = self._chosen.get(k)
        return chosen[0] if chosen else self._choose(k)[0]

    def calibration(self, k: int) -> dict[int, tuple[float, float]]:
        """The share chosen and the recall measured on the sample, by query length (the upper end of its group)."""
        return self._choose(k)[1]

    def _choose(self, k: int) -> tuple[NDArray[np.float32], dict[int, tuple[float, float]]]:
        with self._lock:
            if k not in self._chosen:
                exact = self.plan(k) == STREAM or self.recall == 1 or k > K_GRID[-1]
                self._chosen[k] = (self._shares, {}) if exact else self._from_measured(k)
                for length, (share, measured) in self._chosen[k][1].items():
                    logger.info("k=%d, up to %d terms: share %.2f, recall %.4f", k, length, share, measured)
            return self._chosen[k]

    def _from_measured(self, k: int) -> tuple[NDArray[np.float32], dict[int, tuple[float, float]]]:
        if self._measured is None:
            self._measured = self._measure()
        upper = next(i for i, tried in enumerate(K_GRID) if tried >= k)
        lower = upper if K_GRID[upper] == k else upper - 1
        recall = np.minimum(self._measured[lower], self._measured[upper])  # [groups, SHARES]
        enough = np.minimum.accumulate(recall, axis=1) >= self.recall + MARGIN * (1 - self.recall)
        chosen = np.maximum(enough.sum(axis=1) - 1, 0)  # share 1 comes first and is always enough
        shares = np.ones(LENGTHS, np.float32)
        shares[1 : len(chosen) + 1] = SHARES[chosen]
        shares[len(chosen) + 1 :] = shares[len(chosen)]
        measured = {(2 << g) - 1: (float(SHARES[s]), float(recall[g, s])) for g, s in enumerate(chosen)}
        return read_only(shares), measured

    def _measure(self) -> NDArray[np.float32]:
        stored = self._index.arrays.get("calibration")
        if self._given is None and stored is not None and stored.size == np.prod(SHAPE):
            return np.asarray(stored, np.float32).reshape(SHAPE)
        n_docs = self._index.n_docs
        drawn = np.sort(np.random.default_rng(self._seed).choice(n_docs, min(DOCUMENTS, n_docs), replace=False))
        documents = read_only_rows(self._index.vectors(drawn))
        return calibrate(self._blocks, documents, queries=self._given, seed=self._seed)
