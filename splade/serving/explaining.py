"""The terms of a query and of its hits, as they stand in the vectors that were searched."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from splade.kernels.sparse import slice_rows
from splade.records import Ranking, SparseBatch
from splade.serving.errors import NotValid
from splade.serving.routes.answers import number
from splade.serving.sides import Encoded
from splade.serving.system import Standing


def query_terms(
    standing: Standing, vector: SparseBatch | None, text: str | None, encoded: Encoded | None
) -> dict[str, Any]:
    """The terms of a query, heaviest first."""
    vector = _explained(vector)
    names = _names(standing)
    order = np.argsort(-vector.rows.weights, kind="stable")
    own = set() if encoded is None else set(encoded.rows[0].ids)
    return {
        "text": text,
        "terms": [
            {
                "token": names(int(term)),
                "term": int(term),
                "reading": names(int(term)),
                "weight": number(weight),
                "own": None if encoded is None else int(term) in own,
                "spans": [],
            }
            for term, weight in zip(vector.rows.columns[order], vector.rows.weights[order], strict=True)
        ],
    }


def hit_terms(
    standing: Standing, vector: SparseBatch | None, ranking: Ranking, hits: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """For each hit the terms that make its score, largest product first."""
    vector, inner = _explained(vector), standing.inverted
    if inner is None:
        raise NotValid("`explain` is for inverted indexes of this program: other places do not tell their vectors")
    if not hits:
        return []
    names = _names(standing)
    weights = np.zeros(vector.vocab_size, np.float32)
    weights[vector.rows.columns] = vector.rows.weights
    documents = inner.index.vectors(inner.index.doc_ids.numbers(list(ranking.doc_ids)))
    found = []
    for place in range(len(hits)):
        row = slice_rows(documents, place, place + 1)
        products = weights[row.columns] * row.weights
        order = [int(each) for each in np.argsort(-products, kind="stable") if products[each] > 0]
        found.append(
            [
                {
                    "token": names(int(row.columns[each])),
                    "reading": names(int(row.columns[each])),
                    "query_weight": number(weights[row.columns[each]]),
                    "document_weight": number(row.weights[each]),
                    "product": number(products[each]),
                    "query_own": None,
                    "document_own": None,
                    "query_spans": [],
                    "document_spans": [],
                    "title_spans": [],
                }
                for each in order
            ]
        )
    return found


def _explained(vector: SparseBatch | None) -> SparseBatch:
    if vector is None:
        raise NotValid("`explain` is for sparse vectors, whose terms have names")
    return vector


def _names(standing: Standing) -> Any:
    vocabulary = standing.opened.vocabulary
    if vocabulary is None:
        return lambda term: f"[term_{term}]"
    names = list(vocabulary)
    return lambda term: names[term] if term < len(names) else f"[term_{term}]"
