"""An index that was appended to or deleted from: several immutable ones, and the documents that count no more."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.indexing.format.doc_ids import Ids
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.index.parts import Part, Segment
from splade.indexing.index.scored_terms import ScoredTerms, scored_terms
from splade.kernels.compiled import read_only
from splade.kernels.sparse import concatenate, take_rows
from splade.records import SparseRows


class SegmentedIndex:
    """Documents of several indexes under one numbering: those of the first, then those of the next, and so on.

    What `InvertedIndex` tells, it tells of the whole. Deleted documents keep their numbers, and their
    postings count, until `splade.indexing.building.updates.merge`; no search finds them and no id names them.
    """

    def __init__(
        self, indexes: Sequence[Segment], deleted: NDArray[np.integer], updates: int, path: Path | None
    ) -> None:
        sizes = [index.n_docs for index in indexes]
        self.n_docs = sum(sizes)
        live = np.ones(self.n_docs, np.uint8)
        live[deleted] = 0
        firsts = np.cumsum([0, *sizes]).tolist()
        self.parts = tuple(
            Part(index, first, _unless_full(read_only(live[first : first + index.n_docs])))
            for index, first in zip(indexes, firsts, strict=False)
        )
        self.n_deleted, self.updates = len(deleted), indexes[0].updates + updates
        self.path, self.fingerprint, self.metadata = path, indexes[0].fingerprint, indexes[0].metadata
        self.vocab_size = max(index.vocab_size for index in indexes)
        self.n_postings = sum(index.n_postings for index in indexes)
        self.empty_docs = sum(index.empty_docs for index in indexes)
        self.doc_ids = LiveIds(self)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The last part's vocabulary, which names the terms of all parts before it too; None where there is none."""
        return self.parts[-1].segment.vocabulary

    @property
    def n_bytes(self) -> int:
        """The size of all arrays."""
        return sum(part.segment.n_bytes for part in self.parts)

    def vectors(self, docs: ArrayLike) -> SparseRows:
        """The vectors of document numbers, a row of terms each, in their order."""
        numbers = np.asarray(docs, np.int64)
        owners = self.owners(numbers)
        found = [part.segment.vectors(numbers[owners == n] - part.first) for n, part in enumerate(self.parts)]
        return take_rows(concatenate(found), np.argsort(np.argsort(owners, kind="stable")))

    def explain(self, query: Any, doc: str | int) -> ScoredTerms:
        """The terms of ``query`` that make the score of ``doc``: weights as kept, products summed as in a search.

        As `InvertedIndex` has it; the id of a deleted document is unknown.
        """
        return scored_terms(self, query, doc)

    def owners(self, docs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The part that each document number belongs to; IndexError where there is no such document."""
        if docs.size and not 0 <= docs.min() <= docs.max() < self.n_docs:
            raise IndexError(f"document numbers must be in [0, {self.n_docs}), got {docs.min()} to {docs.max()}")
        return np.searchsorted([part.first for part in self.parts], docs, side="right") - 1

    def __repr__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        parts = f"{len(self.parts)} parts, {self.n_deleted} deleted"
        return f"<SegmentedIndex of {self.n_docs} documents in {parts}{where}>"


class LiveIds(Ids):
    """The ids by document number, those of deleted documents included; numbers by id, those excluded."""

    def __init__(self, index: SegmentedIndex) -> None:
        self._index = index

    def __len__(self) -> int:
        return self._index.n_docs

    def __iter__(self) -> Iterator[str]:
        for part in self._index.parts:
            yield from part.segment.doc_ids

    def take(self, docs: ArrayLike) -> list[str]:
        """The ids of document numbers, each in [0, len)."""
        numbers = np.asarray(docs, np.int64)
        owners = self._index.owners(numbers)
        found: dict[int, Iterator[str]] = {}
        for owner in np.unique(owners).tolist():
            index, first, _ = self._index.parts[owner]
            found[owner] = iter(index.doc_ids.take(numbers[owners == owner] - first))
        return [next(found[owner]) for owner in owners.tolist()]

    def numbers(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """The document numbers of ``ids``; -1 where there is no such document, or no longer."""
        found = np.full(len(ids), -1, np.int32)
        for index, first, live in self._index.parts:
            docs = index.doc_ids.numbers(ids)
            there = np.flatnonzero(docs >= 0)
            if live.size:
                there = there[live[docs[there]] != 0]
            found[there] = docs[there] + first
        return found


def _unless_full(live: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Nothing where all are live: no filter costs less than one that lets all pass."""
    return live[:0] if live.all() else live
