"""Query vectors in the terms of an index, whatever vocabulary they come in; what it does not know is counted."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.vectors import open_vectors
from splade.files import InputError
from splade.indexing import Index, Vocabulary
from splade.kernels.sparse import concatenate, from_csr, keep_entries
from splade.records import SparseBatch, SparseRows

logger = logging.getLogger(__name__)


class Lost(NamedTuple):
    """What an index does not know of some queries, under the names that are reported."""

    unknown_tokens: int = 0  # terms of queries, counted for each query
    queries_with_unknown_tokens: int = 0
    lost_weight_share: float = 0.0  # of the weight of all queries together


class Queries(NamedTuple):
    """Query vectors over the columns of the index that they are to search."""

    vectors: SparseBatch
    lost: Lost = Lost()
    fingerprint: str = ""  # of the encoder; "" where it is unknown


def given_queries(source: str, index: Index, keys: str = "auto") -> Queries:
    """The query vectors of the file or folder ``source``, for ``index``.

    ``keys`` as for :func:`splade.data.vectors.open_vectors`; "auto" takes the kind that the documents of the index
    had, where it was built from vectors. InputError where the index cannot tell what the tokens are.
    """
    vectors = open_vectors(source, keys, expected=index.metadata.get("vector_keys"))
    own = Vocabulary() if vectors.keys == "tokens" else None
    if own is not None and index.vocabulary is None:
        raise InputError(
            f"{source}: keyed by tokens, but the index {index.path} does not know what its terms are called. Key the "
            "queries by term id, or index the documents again, keyed by tokens"
        )
    batch = joined(list(vectors.batches(own)))
    width = batch.vocab_size
    if own is None:
        return in_index_terms(source, batch, np.where(np.arange(width) < index.vocab_size, np.arange(width), -1), index)
    return in_index_terms(source, batch, numbers_in(index, list(own)), index, list(own))


def numbers_in(index: Index, terms: Sequence[str]) -> NDArray[np.int64]:
    """The column of each of ``terms`` in an index with a vocabulary; −1 where it does not know it."""
    assert index.vocabulary is not None
    numbers_of = index.vocabulary.numbers_of
    return np.fromiter((numbers_of.get(term, -1) for term in terms), np.int64, len(terms))


def in_index_terms(
    name: str,
    batch: SparseBatch,
    numbers: NDArray[np.int64],
    index: Index,
    terms: Sequence[str] = (),
    fingerprint: str = "",
) -> Queries:
    """``batch`` with the column ``numbers[c]`` of the index in place of c; entries at −1 are left out and counted.

    ``name`` is what the log calls the queries, ``terms`` are the names of the batch's own columns.
    """
    vectors = renumbered(batch, numbers, index.vocab_size)
    rows = np.repeat(np.arange(len(batch.ids)), np.diff(batch.rows.offsets))
    unknown = numbers[batch.rows.columns] < 0
    if not unknown.any():
        return Queries(vectors, Lost(), fingerprint)
    weights = batch.rows.weights.astype(np.float64)
    n_queries = len(np.unique(rows[unknown]))
    lost = Lost(int(unknown.sum()), n_queries, float(weights[unknown].sum() / weights.sum()))
    column = int(batch.rows.columns[unknown.argmax()])
    logger.warning(
        "%s: %d of %d queries have terms that no document of the index has: %d in all (as %r), %.1f%% of the weight "
        "of the queries; they are left out",
        name, n_queries, len(batch.ids), lost.unknown_tokens, terms[column] if terms else column,
        100 * lost.lost_weight_share,
    )  # fmt: skip
    return Queries(vectors, lost, fingerprint)


def renumbered(batch: SparseBatch, numbers: NDArray[np.int64], vocab_size: int) -> SparseBatch:
    """``batch`` with column ``numbers[c]`` in place of c, without the entries at −1. No two columns become one."""
    known = keep_entries(batch.rows, numbers[batch.rows.columns] >= 0)
    rows = from_csr(known.offsets, numbers[known.columns], known.weights, vocab_size)
    return SparseBatch(batch.ids, rows, vocab_size)


def joined(batches: Sequence[SparseBatch]) -> SparseBatch:
    """All vectors of ``batches``, over the vocabulary of the last, in which those of the others are."""
    ids = tuple(id for batch in batches for id in batch.ids)
    rows: SparseRows = concatenate([batch.rows for batch in batches])
    return SparseBatch(ids, rows, batches[-1].vocab_size)
