"""Vectors of a file as documents of an index, or as queries in its terms, whatever vocabulary they come in.

Terms of queries that the index does not know are counted. This module starts without torch.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from splade.data.vectors.shards import Encoded
from splade.data.vectors.vector_terms import are_whole_numbers
from splade.data.vectors.vectors import VectorCollection, open_vectors
from splade.engines.protocol import Documents, Lost, Queries, Terms
from splade.files import InputError
from splade.indexing import Vocabulary
from splade.kernels.sparse import concatenate, from_csr, keep_entries
from splade.progress import progress
from splade.records import SparseBatch, SparseRows

logger = logging.getLogger(__name__)


def given_documents(vectors: VectorCollection, vocabulary: Vocabulary | None = None, what: str = "index") -> Documents:
    """The vectors of a file as documents, in the terms of ``vocabulary``, which grows, or in terms of their own.

    Shards that a model wrote are documents of that model. ``what`` is what a bar of progress is called.
    """
    encoded = vectors.encoded
    if vectors.keys != "tokens":
        vocabulary = None
    elif vocabulary is None:
        vocabulary = Vocabulary()

    def batches(start: int) -> Iterable[SparseBatch]:
        with progress(desc=what, unit="doc", initial=start) as bar:
            for batch in vectors.batches(vocabulary, start):
                yield batch
                bar.update(len(batch.ids))

    if encoded is not None:
        vocabulary, about = Vocabulary(encoded.terms()), encoded.about
        return Documents(batches, about["vocab_size"], vocabulary, about["fingerprint"], vectors.state())
    return Documents(batches, None, vocabulary, "", vectors.state())


def given_queries(source: str, index: Terms, keys: str = "auto", force: bool = False) -> Queries:
    """The query vectors of the file or folder ``source``, for ``index``.

    ``keys`` as for :func:`splade.data.vectors.vectors.open_vectors`; "auto" takes the kind that the documents of the
    index had, where it was built from vectors. InputError where one side is keyed by tokens and the other by term ids,
    and where another encoder made the index, unless ``force``.
    """
    vectors = open_vectors(source, keys, expected=index.metadata.get("vector_keys"))
    refuse_other_keys(vectors, index)
    if vectors.encoded is not None:
        return _encoded_queries(vectors, vectors.encoded, index, force)
    own = Vocabulary() if vectors.keys == "tokens" else None
    batch = joined(list(vectors.batches(own)))
    if own is None:
        return in_index_terms(source, batch, _as_they_are(batch.vocab_size, index), index)
    terms = list(own)
    numbers = numbers_in(index, terms)
    if terms and (numbers < 0).all() and are_whole_numbers(terms):
        raise InputError(
            f"{source}: its keys are whole numbers (as {terms[0]!r}) and taken for tokens, since the index "
            f"{index.path} was keyed by tokens, but it knows none of them. Key the queries by token"
        )
    return in_index_terms(source, batch, numbers, index, terms)


def given_appended(source: str, index: Terms, keys: str = "auto") -> VectorCollection:
    """The vectors of the file or folder ``source``, to be appended to ``index``.

    ``keys`` as for `given_queries`. InputError where one side is keyed by tokens and the other by term ids, and where
    another encoder made the index.
    """
    vectors = open_vectors(source, keys, expected="ids" if index.vocabulary is None else "tokens")
    refuse_other_keys(vectors, index)
    if vectors.encoded is not None and vectors.encoded.about["fingerprint"] != index.fingerprint:
        raise InputError(
            f"{source}: vectors of the encoder {vectors.encoded.about['fingerprint'][:12]}…, but {index.path} was made "
            f"by {index.fingerprint[:12] or 'vectors of unknown origin'}…; encode the documents with that one"
        )
    first = vectors.first_keys() if keys == "auto" and vectors.keys == "tokens" else ()
    if first and are_whole_numbers(first) and (numbers_in(index, first) < 0).all():
        raise InputError(
            f"{source}: its keys are whole numbers (as {first[0]!r}), but the index {index.path} was keyed by tokens "
            "and knows none of them. Key the documents by token, or set data.VECTOR_KEYS=tokens if these are tokens"
        )
    return vectors


def refuse_other_keys(vectors: VectorCollection, index: Terms) -> None:
    """InputError where ``vectors`` are keyed by tokens and ``index`` by term ids, or the other way round.

    The columns of an index keyed by tokens are numbers of its own, in the order in which its documents brought them.
    """
    if vectors.keys == "tokens":
        if index.vocabulary is None:
            raise InputError(
                f"{vectors.source}: keyed by tokens, but the index {index.path} does not know what its terms are "
                "called. Key the vectors by term id, or index the documents again, keyed by tokens"
            )
        return
    if vectors.encoded is not None or index.vocabulary is None or index.fingerprint:
        return
    known = index.metadata.get("vector_keys")
    if known == "tokens":
        raise InputError(
            f"{vectors.source}: keyed by term id, but the index {index.path} was keyed by tokens, which have numbers "
            "of their own in it. Key the vectors by token, or index the documents again, keyed by term id"
        )
    if known is None:
        logger.warning(
            "%s: keyed by term id; nothing says that the terms of the index %s are numbered alike", vectors.source,
            index.path,
        )  # fmt: skip


def _encoded_queries(vectors: VectorCollection, encoded: Encoded, index: Terms, force: bool) -> Queries:
    """The vectors of shards, whose terms and encoder are known, in the terms of ``index``."""
    mine = str(encoded.about["fingerprint"])
    if index.fingerprint not in ("", mine):
        problem = f"{vectors.source}: vectors of the encoder {mine[:12]}…, but {index.path} was made by "
        problem += f"{index.fingerprint[:12]}…"
        if not force:
            raise InputError(f"{problem}; encode the queries with that one, or set config.force=true to search it")
        logger.warning("%s; searching all the same, as config.force=true says", problem)
    batch, terms = joined(list(vectors.batches())), encoded.terms()
    numbers = _as_they_are(batch.vocab_size, index) if index.vocabulary is None else numbers_in(index, terms)
    return in_index_terms(vectors.source, batch, numbers, index, terms, mine)


def _as_they_are(width: int, index: Terms) -> NDArray[np.int64]:
    """The columns of vectors over ``width`` term ids: those that the index has, and −1 for the others."""
    return np.where(np.arange(width) < index.vocab_size, np.arange(width), -1)


def numbers_in(index: Terms, terms: Sequence[str]) -> NDArray[np.int64]:
    """The column of each of ``terms`` in an index with a vocabulary; −1 where it does not know it."""
    assert index.vocabulary is not None
    numbers_of = index.vocabulary.numbers_of
    return np.fromiter((numbers_of.get(term, -1) for term in terms), np.int64, len(terms))


def in_index_terms(
    name: str,
    batch: SparseBatch,
    numbers: NDArray[np.int64],
    index: Terms,
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
