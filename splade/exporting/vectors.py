"""Single vectors of a batch, and batches of single vectors: what formats of lines are made of and read into."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.exporting.target import FileTarget, kept_rows
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch

BATCH = 1000  # vectors of a batch that is read back


Entry = tuple[str, Sequence[int], Sequence[float]]
"""Id, columns and weights of a vector that is read."""


class Vector(NamedTuple):
    """A text's vector, as the engine keeps it."""

    id: str
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]
    text: str = ""


def query_vectors(target: FileTarget, queries: Iterable[SparseBatch]) -> Iterator[Vector]:
    """The queries one by one, as the engine of ``target`` keeps them."""
    for batch in queries:
        yield from vectors(kept_rows(target, "query", batch))


def vectors(batch: SparseBatch) -> Iterator[Vector]:
    """The vectors of ``batch`` one by one."""
    offsets = batch.rows.offsets
    for text_id, start, end in zip(batch.ids, offsets[:-1], offsets[1:], strict=True):
        yield Vector(text_id, batch.rows.columns[start:end], batch.rows.weights[start:end])


def batches(found: Iterable[Entry], vocab_size: int) -> Iterator[SparseBatch]:
    """Batches of (id, columns, weights), with columns in increasing order."""
    held: list[Entry] = []
    for vector in found:
        held.append(vector)
        if len(held) == BATCH:
            yield _batch(held, vocab_size)
            held = []
    if held:
        yield _batch(held, vocab_size)


def _batch(held: list[Entry], vocab_size: int) -> SparseBatch:
    offsets = np.cumsum([0, *(len(columns) for _, columns, _ in held)]).astype(np.int64)
    columns = np.array([column for _, own, _ in held for column in own], np.int64)
    weights = np.array([weight for _, _, own in held for weight in own], np.float32)
    return SparseBatch(tuple(id for id, _, _ in held), from_csr(offsets, columns, weights, vocab_size), vocab_size)
