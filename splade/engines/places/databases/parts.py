"""Batches on their way into a system: without what it takes none of, and no larger than a request may be."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.records import SparseBatch, SparseRows

POSTINGS = 500_000  # of a request: some 10 MB of JSON, half of that in other forms


class Entry(NamedTuple):
    """A document with terms."""

    number: int
    id: str
    terms: NDArray[np.int32]  # increasing
    weights: NDArray[np.float32]


def parts(batch: SparseBatch, first: int, engine: str, postings: int = POSTINGS) -> Iterator[list[Entry]]:
    """The documents of ``batch`` that have terms, numbered from ``first``, in lists of at most so many ``postings``.

    A document with more is alone in its list. InputError for a weight that no inverted index holds: negative, NaN or
    infinite.
    """
    offsets, found, size = batch.rows.offsets, list[Entry](), 0
    _refuse_weights(batch, engine)
    for row in range(len(batch.ids)):
        start, stop = int(offsets[row]), int(offsets[row + 1])
        if start == stop:
            continue
        if found and size + stop - start > postings:
            yield found
            found, size = [], 0
        size += stop - start
        terms, weights = batch.rows.columns[start:stop], batch.rows.weights[start:stop]
        found.append(Entry(first + row, batch.ids[row], terms, weights))
    if found:
        yield found


def vectors_of(rows: SparseRows) -> Iterator[tuple[list[int], list[float]]]:
    """Terms and weights of each row, as lists."""
    terms, weights = rows.columns.tolist(), rows.weights.tolist()
    for start, stop in zip(rows.offsets[:-1].tolist(), rows.offsets[1:].tolist(), strict=True):
        yield terms[start:stop], weights[start:stop]


def _refuse_weights(batch: SparseBatch, engine: str) -> None:
    bad = np.flatnonzero(~((batch.rows.weights > 0) & np.isfinite(batch.rows.weights)))
    if len(bad):
        row = int(np.searchsorted(batch.rows.offsets, bad[0], "right")) - 1
        raise InputError(
            f"document {batch.ids[row]!r} has the weight {batch.rows.weights[bad[0]]} for term "
            f"{batch.rows.columns[bad[0]]}; engine={engine} takes positive, finite weights"
        )
