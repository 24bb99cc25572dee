"""Weights so large that a score leaves float32: told before a search, by the query and the document."""

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.kernels.blocks import LEVELS
from splade.kernels.sparse import take_rows
from splade.kernels.topk import BEYOND
from splade.records import SparseBatch
from splade.search.searcher import Searcher


def refuse_overflow(searcher: Searcher, queries: SparseBatch) -> None:
    """InputError where one of ``queries`` has a score beyond float32, which is infinite and cannot be written.

    Only queries whose weights times the largest ones of the index come that high are searched for it.
    """
    suspects = np.flatnonzero(_most(searcher, queries) >= BEYOND)
    if not suspects.size:
        return
    docs, scores = searcher.search_csr(take_rows(queries.rows, suspects), k=1)  # infinite ones come first
    infinite = np.flatnonzero(np.isinf(scores[:, 0]))
    if infinite.size:
        place = infinite[0]
        query = int(suspects[place])
        largest = queries.rows.weights[queries.rows.offsets[query] : queries.rows.offsets[query + 1]].max()
        where = f"{searcher.index.path}: " if searcher.index.path else ""
        raise InputError(
            f"{where}the score of query {queries.ids[query]!r} (weights up to {largest:g}) and document "
            f"{searcher.index.doc_ids[int(docs[place, 0])]!r} is beyond {np.finfo(np.float32).max:.2g}, the largest "
            "float32. Such weights are no impacts: make the vectors again, or scale them down"
        )


def _most(searcher: Searcher, queries: SparseBatch) -> NDArray[np.float64]:
    """The most that each query could score with a document that had the largest weight of every term, float64 [Q]."""
    columns, weights = queries.rows.columns, queries.rows.weights.astype(np.float64)
    rows = np.repeat(np.arange(len(queries.ids)), np.diff(queries.rows.offsets))
    tops = np.zeros(searcher.index.vocab_size)
    for part in searcher.index.parts:
        steps = part.segment.blocks.steps
        tops[: len(steps)] = np.maximum(tops[: len(steps)], steps.astype(np.float64) * LEVELS)
    most = np.zeros(len(queries.ids))
    np.add.at(most, rows, weights * tops[columns])
    return most
