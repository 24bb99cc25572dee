"""A document's score, term by term, as an index keeps it."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.index.parts import Part
from splade.indexing.index.query_rows import query_rows
from splade.kernels.compiled import read_only
from splade.kernels.restore import weights_at


class Explainable(Protocol):
    """The part of an index that scores are explained from; `splade.indexing.Index` is one."""

    n_docs: int
    vocab_size: int
    doc_ids: Any
    path: Any

    @property
    def parts(self) -> tuple[Part, ...]:
        """The immutable indexes, in the order of their documents."""

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary, which names each term; None where the names are not known."""


class ScoredTerms(NamedTuple):
    """The terms that a query and a document of an index share, in the order in which their products are summed.

    Weights of the document are those kept, quantised as they are. Products and ``score`` are float32, as in a search.
    """

    doc_id: str
    terms: NDArray[np.int32]  # [T] increasing
    query_weights: NDArray[np.float32]  # [T]
    document_weights: NDArray[np.float32]  # [T]
    products: NDArray[np.float32]  # [T]
    score: float
    missing: NDArray[np.int32]  # terms of the query that the document lacks, increasing
    vocabulary: Vocabulary | None

    def named(self, term: int) -> str:
        """The name of a term, or its number as text."""
        return str(term) if self.vocabulary is None else self.vocabulary[term]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON has it, largest product first."""
        order = np.lexsort((self.terms, -self.products)).tolist()
        return {
            "doc_id": self.doc_id,
            "score": self.score,
            "terms": [
                {
                    "token": self.named(int(self.terms[place])),
                    "query_weight": float(self.query_weights[place]),
                    "document_weight": float(self.document_weights[place]),
                    "product": float(self.products[place]),
                }
                for place in order
            ],
            "missing": [self.named(term) for term in self.missing.tolist()],
        }


def scored_terms(index: Explainable, query: Any, doc: str | int) -> ScoredTerms:
    """The terms of ``query``, one row of vectors, that make the score of ``doc``, an id or a document number.

    InputError for another vocabulary and an id that no document has, IndexError for a number that none has,
    ValueError for vectors of no query or several.
    """
    rows = query_rows(query, index.vocab_size)
    if len(rows.offsets) != 2:
        raise ValueError(f"the score of one query is explained at a time, got {len(rows.offsets) - 1} rows")
    number = _number(index, doc)
    part = next(part for part in reversed(index.parts) if part.first <= number)
    known = rows.columns < part.segment.vocab_size  # an earlier part knows fewer terms
    held = np.zeros(len(rows.columns), np.float32)
    held[known] = weights_at(part.segment.blocks, read_only(rows.columns[known]), number - part.first)
    shared = held > 0
    products = rows.weights[shared] * held[shared]
    return ScoredTerms(
        index.doc_ids[number],
        rows.columns[shared],
        rows.weights[shared],
        held[shared],
        products,
        float(np.cumsum(products, dtype=np.float32)[-1]) if products.size else 0.0,
        rows.columns[~shared],
        index.vocabulary,
    )


def _number(index: Explainable, doc: str | int) -> int:
    if isinstance(doc, str):
        number = int(index.doc_ids.numbers([doc])[0])
        if number < 0:
            raise InputError(f"{index.path or 'the index'}: there is no document {doc!r} in it")
        return number
    if not 0 <= doc < index.n_docs:
        raise IndexError(f"document numbers must be in [0, {index.n_docs}), got {doc}")
    return int(doc)
