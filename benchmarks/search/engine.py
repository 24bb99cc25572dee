"""What an engine is here: an index built in a process of its own, opened again, and asked."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.vectors import Vectors

Answer = tuple[NDArray[np.int64], NDArray[np.float64]]  # document numbers [Q, k], -1 where none; seconds [Q]


class Work(NamedTuple):
    """Touched by an average query."""

    blocks: float  # visited, of documents
    all_blocks: int
    postings: float


class Engine:
    """An engine with one setting of its search. Those that name the same ``index`` share it: it is built once.

    Seconds of a search are taken around the engine's own call; conversions of queries and results do not count.
    ``threads`` is None for a search on one thread by that thread's processor clock, or a number for a batch on so
    many threads by the clock on the wall.
    """

    name: str
    index: str  # folder of its index within the collection's
    package = ""  # the distribution whose version is reported
    threads: int | None = None
    largest = 1 << 31  # documents that it is asked to hold
    exact = True  # but for the rounding of weights
    one_call = False  # queries are given in one call, whose seconds are spread over them

    @property
    def clock(self) -> Callable[[], float]:
        """The clock that its searches are timed by."""
        return time.thread_time if self.threads is None else time.perf_counter

    def prepare(self, vectors: Vectors, inputs: Path) -> None:
        """Write vectors into ``inputs`` in the form that the engine reads; neither timed nor kept."""

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        """Make the index in ``folder``, from the vectors on disk or from what `prepare` wrote."""
        raise NotImplementedError

    def open(self, folder: Path) -> float:
        """Make ready to search; returns the seconds that opening took."""
        raise NotImplementedError

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        """The best ``k`` of each query."""
        raise NotImplementedError

    def work(self, queries: sp.csr_matrix, k: int) -> Work | None:
        """What a search touches, where the engine counts it."""

    def close(self) -> None:
        """Let go of what is not this process's."""


def one_by_one(queries: sp.csr_matrix, k: int, answer: Callable[[Any, Any], tuple[Any, float]]) -> Answer:
    """Ask query by query; ``answer`` gives documents and seconds for terms and weights."""
    docs = np.full((queries.shape[0], k), -1, np.int64)
    seconds = np.empty(queries.shape[0])
    for q in range(queries.shape[0]):
        part = slice(queries.indptr[q], queries.indptr[q + 1])
        found, seconds[q] = answer(queries.indices[part], queries.data[part])
        docs[q, : min(k, len(found))] = found[:k]
    return docs, seconds


def shared(seconds: float, n_queries: int) -> NDArray[np.float64]:
    """The seconds of a call for all queries, spread over them."""
    return np.full(n_queries, seconds / n_queries)
