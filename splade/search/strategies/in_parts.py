"""Searching an index of several parts: each is searched by itself, and the best of all are kept."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from splade.indexing import SegmentedIndex
from splade.indexing.index.parts import Part
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import keep_entries, slice_rows
from splade.records import SparseRows
from splade.search.strategies.work import Strategy, Work


class InParts:
    """One strategy for each part of an index that was appended to or deleted from.

    A part's result is exact, or has its recall, by itself, and scores do not depend on the part, so the whole is as
    exact as the parts. Deleted documents are filtered out.
    """

    def __init__(self, index: SegmentedIndex, strategy: Callable[..., Strategy], **options: object) -> None:
        self._parts = [(part, strategy(part.segment, **options)) for part in index.parts if part.segment.n_docs]

    def __call__(self, work: Work) -> None:
        """Fill ``keys`` with the best of all parts; ``counts`` add up."""
        found = []
        for part, strategy in self._parts:
            room = min(work.k, part.segment.n_docs)
            keys = np.zeros((work.last - work.first, room), np.uint64)
            counts = np.zeros_like(work.counts)
            queries = narrowed(work.queries, work.first, work.last, part.segment.vocab_size)
            allowed = _filter(part, work.allowed)
            strategy(Work(queries, 0, work.last - work.first, room, work.floor, allowed, keys, counts))
            keys[keys != 0] -= np.uint64(part.first)  # the low half is the complement of the document's number
            np.add(work.counts, counts, out=work.counts)  # -1 where nothing is counted stays below 0
            found.append(keys)
        if found:
            best = np.sort(np.concatenate(found, axis=1), axis=1)[:, ::-1]
            work.keys[:, : best.shape[1]] = best[:, : work.keys.shape[1]]


def narrowed(queries: SparseRows, first: int, last: int, n_terms: int) -> SparseRows:
    """Queries ``first`` to ``last`` without the terms from ``n_terms`` on, which an earlier part does not know."""
    rows = slice_rows(queries, first, last)
    return read_only_rows(keep_entries(rows, rows.columns < n_terms))


def _filter(part: Part, allowed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the stretch of ``allowed`` that concerns the part, without its deleted documents."""
    if not allowed.size:
        return part.live
    mine = allowed[part.first : part.first + part.segment.n_docs]
    return read_only(mine & part.live if part.live.size else mine)
