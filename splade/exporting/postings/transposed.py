"""Documents turned into postings, and postings into documents, in bounded memory.

Both go through the parts of our own index, which are laid out on disk and mapped. Memory: `MEMORY_MB` for what is
gathered and laid out; besides, per document, its id twice and 68 bytes, and 40 bytes for each posting of the most
frequent term. Disk, for as long as it takes: about 20 bytes for each posting.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.indexing.building.builder import IndexBuilder
from splade.indexing.index.inverted_index import InvertedIndex, building_folder
from splade.kernels.restore import postings_of
from splade.kernels.sparse import slice_rows
from splade.records import SparseBatch, SparseRows

MEMORY_MB = 1024
PLACE = ".postings"
AT_ONCE = 4096  # documents that are read back at a time
POSTINGS_AT_ONCE = 1 << 18  # that are gathered at a time


class PostingList(NamedTuple):
    """One term's documents in increasing order, and its impact in each."""

    term: int
    docs: NDArray[np.int32]
    impacts: NDArray[np.int64]


class Postings:
    """The postings of an index, with whole numbers for weights.

    Documents are numbered by their positions in the index: as they came, or so that similar ones are neighbours.
    ``lengths`` int64 [n_docs] is the sum of each document's impacts, in that order.
    """

    def __init__(self, index: InvertedIndex, lengths: NDArray[np.int64]) -> None:
        self.index, self.n_docs = index, index.n_docs
        self.order = index.blocks.order
        self.lengths = lengths[self.order]
        self.sizes = np.diff(index.blocks.offsets)  # [V] documents of each term

    def lists(self, terms: Iterable[int]) -> Iterator[PostingList]:
        """The lists of ``terms``, in this order; terms without postings are left out."""
        numbers = np.empty(self.n_docs, np.int32)
        numbers[self.order] = np.arange(self.n_docs, dtype=np.int32)
        for term in terms:
            if self.sizes[term]:
                rows = postings_of(self.index.blocks, term, term + 1, numbers)
                yield PostingList(term, rows.columns, rows.weights.astype(np.int64))

    def ids(self, start: int, stop: int) -> list[str]:
        """The ids of documents ``start`` to ``stop``."""
        return self.index.doc_ids.take(self.order[start:stop])


@contextmanager
def transposed(
    folder: Path, batches: Iterable[SparseBatch], vocab_size: int, cluster: bool | None = False
) -> Iterator[Postings]:
    """The postings of documents, kept in ``folder`` until the block ends.

    ``cluster`` as in `splade.indexing.format.choices.Layout`. Where a process was killed, another one that is given
    the same documents continues after what is stored.
    """
    place = folder / PLACE
    builder = IndexBuilder(place, vocab_size, memory_mb=MEMORY_MB, resume=True, cluster=cluster)
    try:
        stored, before, lengths = builder.n_docs, 0, [np.zeros(0, np.int64)]
        for batch in batches:
            lengths.append(_sums(batch.rows))
            fresh = max(0, min(len(batch.ids), stored - before))
            before += len(batch.ids)
            rows = slice_rows(batch.rows, fresh, len(batch.ids))
            builder.add(SparseBatch(batch.ids[fresh:], rows, vocab_size))
        yield Postings(builder.finish(), np.concatenate(lengths))
    finally:
        builder.abandon()
        for left in (place, building_folder(place)):
            shutil.rmtree(left, ignore_errors=True)


Read = tuple[int, NDArray[np.int32], NDArray[np.float32]]
"""A term, the numbers of its documents, and its weight in each."""


def documents_of(
    lists: Iterable[Read],
    n_docs: int,
    names: Callable[[], Sequence[str]],
    vocab_size: int,
) -> Iterator[SparseBatch]:
    """The ``n_docs`` documents of the postings of all terms, each once.

    ``names`` gives their ids, once the last list was taken.
    """
    terms: list[int] = []
    with tempfile.TemporaryDirectory(prefix="splade-check-") as folder:
        builder = IndexBuilder(Path(folder) / "documents", max(n_docs, 1), memory_mb=MEMORY_MB, cluster=False)
        try:
            for group in _groups(lists):
                own = [term for term, _, _ in group]
                offsets = np.cumsum([0, *(len(docs) for _, docs, _ in group)]).astype(np.int64)
                docs, weights = (np.concatenate([each[part] for each in group]) for part in (1, 2))
                rows = SparseRows(offsets, docs, weights)
                builder.add(SparseBatch(tuple(map(str, own)), rows, max(n_docs, 1)))
                terms += own
            index = builder.finish()
        finally:
            builder.abandon()
        ids = names()
        rank = np.argsort(np.argsort(np.array(terms, np.int64))).astype(np.int32)  # terms in their own order again
        by_rank = np.sort(np.array(terms, np.int32))
        for start in range(0, n_docs, AT_ONCE):
            stop = min(start + AT_ONCE, n_docs)
            rows = postings_of(index.blocks, start, stop, rank)
            rows = rows._replace(columns=by_rank[rows.columns])
            yield SparseBatch(tuple(ids[start:stop]), rows, vocab_size)


def _groups(lists: Iterable[Read]) -> Iterator[list[Read]]:
    """Lists of together at least `POSTINGS_AT_ONCE` postings, but for the last."""
    held: list[Read] = []
    n = 0
    for one in lists:
        held.append(one)
        n += len(one[1])
        if n >= POSTINGS_AT_ONCE:
            yield held
            held, n = [], 0
    if held:
        yield held


def _sums(rows: SparseRows) -> NDArray[np.int64]:
    ends = np.concatenate([[0], np.cumsum(rows.weights, dtype=np.float64)])[rows.offsets]
    return np.diff(ends).astype(np.int64)
