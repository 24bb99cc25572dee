"""The terms that make a score, and those that make the difference between two.

A score is the inner product of a query's and a document's vector, so each term has a share of its own in it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.indexing import Index
from splade.kernels.sparse import slice_rows
from splade.records import SparseBatch, SparseRows


class TermDifference(NamedTuple):
    """A term with the products of its weights, in the query and in the document, in two scores; 0 where it is none."""

    term: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The term's part of the difference of the two scores, the first minus the second."""
        return self.first - self.second


def term_products(queries: SparseBatch, query_id: str, index: Index, doc_id: str) -> dict[str, float] | None:
    """The product of query weight and document weight for each term that the two share, by its name.

    Their sum is the score of the document. ``queries`` are over the columns of ``index``. Terms whose names the index
    does not know are called by their numbers. None where ``queries`` or ``index`` do not hold the two.
    """
    query, number = _row(queries, query_id), int(index.doc_ids.numbers([doc_id])[0])
    if query is None or number < 0:
        return None
    found = index.explain(query, number)
    return _named(found.terms, found.query_weights.astype(np.float64) * found.document_weights, index)


def term_weights(queries: SparseBatch, query_id: str, index: Index | None) -> dict[str, float] | None:
    """The weight of each term of a query, by its name; None where ``queries`` do not hold it.

    Names are as in `term_products`; without an ``index`` all terms are called by their numbers.
    """
    query = _row(queries, query_id)
    return None if query is None else _named(query.columns, query.weights, index)


def _row(queries: SparseBatch, query_id: str) -> SparseRows | None:
    """The vector of one query; None for an unknown one."""
    if query_id not in queries.ids:
        return None
    place = queries.ids.index(query_id)
    return slice_rows(queries.rows, place, place + 1)


def _named(columns: NDArray[Any], values: NDArray[Any], index: Index | None) -> dict[str, float]:
    names = None if index is None else index.vocabulary
    pairs = zip(columns.tolist(), values.tolist(), strict=True)
    return {str(column) if names is None else names[column]: float(value) for column, value in pairs}


def terms_of_difference(first: Mapping[str, float], second: Mapping[str, float], n: int = 10) -> list[TermDifference]:
    """The ``n`` terms that contribute most to the difference of two scores, largest first, whatever the sign.

    ``first`` and ``second`` are products by term, as `term_products` has them: of one document by two systems, or of
    two documents by one system. The differences of all terms sum to the difference of the scores. Ties are in
    alphabetical order.
    """
    terms = {**first, **second}
    found = [TermDifference(term, first.get(term, 0.0), second.get(term, 0.0)) for term in terms]
    return sorted(found, key=lambda one: (-abs(one.difference), one.term))[:n]
