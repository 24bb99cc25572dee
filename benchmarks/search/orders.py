"""The order of documents that contestants get: as given, or the one that our index puts them into."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.engine import OURS
from benchmarks.search.vectors import Vectors
from splade import InvertedIndex

GIVEN, CLUSTERED = "given", "clustered"


def order_of(order: str, indexes: Path, vectors: Vectors) -> NDArray[np.int64]:
    """The document at each position; ``clustered`` is the order of our index, which is in ``indexes`` already."""
    if order == GIVEN:
        return np.arange(vectors.n_docs)
    index = InvertedIndex.open(indexes / OURS, verify=False)
    return np.concatenate([part.first + part.segment.blocks.order.astype(np.int64) for part in index.parts])


def suffix(order: str) -> str:
    """The words that follow an engine's name for this order."""
    return "" if order == GIVEN else ", our order"
