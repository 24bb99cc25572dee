"""The order of documents that contestants get: as given, or clustered as our index does it."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.vectors import Vectors
from splade.indexing.layout.clustering import cluster_order
from splade.indexing.layout.sources import InMemory
from splade.kernels.sparse import from_matrix

GIVEN, CLUSTERED = "given", "clustered"


def order_of(order: str, vectors: Vectors) -> NDArray[np.int64]:
    """The document at each position; ``clustered`` is the order of our index, where it does not keep the given one."""
    if order == GIVEN:
        return np.arange(vectors.n_docs)
    matrix = vectors.matrix()
    return cluster_order(InMemory(from_matrix(matrix).rows, matrix.shape[1]), 0, 1)[0].astype(np.int64)


def suffix(order: str) -> str:
    """The words that follow an engine's name for this order."""
    return "" if order == GIVEN else ", clustered"
