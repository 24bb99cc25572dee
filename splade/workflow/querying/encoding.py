"""Queries as vectors in the terms of an index, by any encoder. This module starts without torch."""

import logging
import time
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.dense.index import in_matrix
from splade.encoding.protocol import TextEncoder
from splade.engines import Queries
from splade.engines.bm25 import is_bm25
from splade.engines.protocol import Terms
from splade.files import InputError
from splade.progress import progress
from splade.records import SparseBatch, Text
from splade.workflow.given_vectors import in_index_terms, numbers_in, renumbered

logger = logging.getLogger(__name__)


def query_vectors(encoder: TextEncoder, queries: Collection) -> SparseBatch:
    """The vectors of ``queries``; a bar shows the progress, batch by batch."""
    with progress(desc="encode queries", unit="query", total=len(queries)) as bar:
        return encoder.encode_all(queries, encoded=bar.update)


class QueryEncoder:
    """Encodes queries for one index, translating them where its terms are not the model's.

    InputError where another encoder made the index, unless ``force``, and where nothing tells what its terms are
    and it has more or fewer of them than the model.
    """

    def __init__(self, encoder: TextEncoder, index: Terms, force: bool = False) -> None:
        self.encoder, self.index = encoder, index
        self.fingerprint = check_fingerprint(index, encoder.fingerprint(), force)
        self.terms: list[str] = []
        self.numbers = self._numbers()

    def encode(self, queries: Collection) -> Queries:
        """The vectors of ``queries``; a bar shows the progress."""
        before, began = self.encoder.n_cut, time.perf_counter()
        vectors, seconds = query_vectors(self.encoder, queries), time.perf_counter() - began
        found = self._in_terms(vectors, queries.source)
        n_cut = self.encoder.tell_cut(str(queries.source), before, len(found.vectors.ids))
        return found._replace(n_cut=n_cut, encode_seconds=seconds)

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:
        """The vectors of ``texts``; ``name`` is what the log calls them."""
        return self._in_terms(self.encoder.encode_all(texts), name)

    def in_terms(self, batch: SparseBatch) -> Queries:
        """Vectors that the encoder made, in the terms of the index; those that it does not know are left out."""
        if self.numbers is None:
            return Queries(batch, fingerprint=self.fingerprint)
        return Queries(renumbered(batch, self.numbers, self.index.vocab_size), fingerprint=self.fingerprint)

    def _in_terms(self, batch: SparseBatch, name: str) -> Queries:
        if self.numbers is None:
            return Queries(batch, fingerprint=self.fingerprint)
        return in_index_terms(name, batch, self.numbers, self.index, self.terms, self.fingerprint)

    def _numbers(self) -> NDArray[np.int64] | None:
        """The index's column for each term of the model; None where they are the same."""
        encoder, index = self.encoder, self.index
        if index.fingerprint == self.fingerprint:
            return None
        if index.vocabulary is not None:
            self.terms = encoder.terms
            numbers = numbers_in(index, self.terms)
            same = len(numbers) == index.vocab_size and (numbers == np.arange(len(numbers))).all()
            return None if same else numbers
        if index.vocab_size != encoder.vocab_size:
            raise InputError(
                f"{index.path}: an index over {index.vocab_size} terms, a model with {encoder.vocab_size}, and nothing "
                "says what the terms are. Search it with the model that made it, or with vectors of the same kind "
                "(data.Q_VECTORS_PATH), or index documents keyed by tokens"
            )
        logger.warning("%s: nothing says what the terms of this index are; taken to be the model's", index.path)
        return None


class DenseQueryEncoder:
    """Encodes queries for dense vectors. InputError where another encoder made these, unless ``force``."""

    def __init__(self, encoder: TextEncoder, index: Terms, force: bool = False) -> None:
        self.encoder, self.fingerprint = encoder, check_fingerprint(index, encoder.fingerprint(), force)

    def encode(self, queries: Collection) -> Queries:
        """The vectors of ``queries``; a bar shows the progress."""
        before, began = self.encoder.n_cut, time.perf_counter()
        vectors = in_matrix(query_vectors(self.encoder, queries))
        seconds = time.perf_counter() - began
        n_cut = self.encoder.tell_cut(str(queries.source), before, len(vectors.ids))
        return Queries(vectors, fingerprint=self.fingerprint, n_cut=n_cut, encode_seconds=seconds)

    def in_terms(self, batch: SparseBatch) -> Queries:
        """Vectors that the encoder made, as those of the index are kept."""
        return Queries(in_matrix(batch), fingerprint=self.fingerprint)

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:  # noqa: ARG002 - as `QueryEncoder`'s
        """The vectors of ``texts``."""
        return Queries(in_matrix(self.encoder.encode_all(texts)), fingerprint=self.fingerprint)


def check_fingerprint(index: Terms, mine: str, force: bool = False) -> str:
    """The model's fingerprint ``mine``; refuses to search an index that another model made, unless ``force``."""
    if index.fingerprint in ("", mine):
        return mine
    if is_bm25(index.fingerprint):
        raise InputError(
            f"{index.path}: holds BM25's weights, not a model's vectors. Search it with engine=bm25, index the "
            "collection with this model (python -m splade.index), or point config.index_dir at the right index"
        )
    problem = f"{index.path}: made by the encoder {index.fingerprint[:12]}…, but the model at hand is {mine[:12]}…"
    if not force:
        raise InputError(
            f"{problem}. Index the collection again with this model (python -m splade.index), point "
            "config.index_dir at the right index, or set config.force=true to search it all the same"
        )
    logger.warning("%s; searching all the same, as config.force=true says", problem)
    return mine
