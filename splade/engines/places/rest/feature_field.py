"""Weights as Lucene's FeatureField keeps them; OpenSearch and Elasticsearch score sparse vectors by it.

A document's weight is stored as a term frequency: the bits of the float32 without the 15 lowest. Nine significant bits
are left, cut off and not rounded. A score is the sum, in float64, of query weight times stored weight in float32.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.records import SparseBatch

SMALLEST = float(np.finfo(np.float32).tiny)  # of a document's weight; Lucene refuses smaller ones
LARGEST_QUERY = 64.0  # weight of a query's term; Lucene refuses larger ones
LOSS = 2.0**-8  # a stored weight is less than this share smaller than the one that was given


def stored(weights: NDArray[Any]) -> NDArray[np.float32]:
    """The float32 ``weights`` as they are stored; exact, for all of 0 and above."""
    bits = np.ascontiguousarray(weights, np.float32).view(np.int32)
    return ((bits >> 15) << 15).view(np.float32)


def scale_into(largest: float, ceiling: float = LARGEST_QUERY, *, fill: bool = False) -> float:
    """The power of two that brings a query whose largest weight is ``largest`` to at most ``ceiling``.

    1 for a query that is below it, or with ``fill`` the largest such power. Scores divided by a power of two are
    those of the query as it was.
    """
    exponent = int(np.floor(np.log2(ceiling / largest)))
    if largest * 2.0**exponent > ceiling:  # the logarithm was rounded up
        exponent -= 1
    return 2.0 ** (exponent if fill else min(exponent, 0))


def check_weights(batch: SparseBatch) -> None:
    """InputError for a document's weight that Lucene refuses; what a `SparseBatch` excludes is not looked for."""
    weights = batch.rows.weights
    small = np.flatnonzero(weights < SMALLEST)
    if small.size:
        row = int(np.searchsorted(batch.rows.offsets, small[0], side="right")) - 1
        raise InputError(
            f"document {batch.ids[row]!r} has a weight of {float(weights[small[0]]):.3g}; Lucene keeps none below "
            f"{SMALLEST:.3g}. Leave it out of the vector"
        )
