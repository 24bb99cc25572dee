"""Reasons of hits and of scores: the terms, their weights as they were searched, and the characters they come from."""

import time
from collections.abc import Sequence
from typing import Any

from splade.encoding.protocol import TextEncoder
from splade.encoding.tables import TableEncoder
from splade.engines.protocol import Queries
from splade.explaining import Bag, Explainer, Match, Term
from splade.explaining.bags import bag_of, held_bag, shared_terms
from splade.explaining.matches import match_of
from splade.explaining.records import by_weight
from splade.indexing import Index
from splade.kernels.sparse import slice_rows
from splade.records import SparseBatch, SparseRows, Text
from splade.serving.errors import NotValid
from splade.serving.searching import Shown, vector_of
from splade.serving.sides import Encoded, Sides
from splade.serving.system import Standing, System

MOST = 20
"""Hits of one search whose terms are traced to the document's characters, which takes the model twice for each."""


def asked_bag(system: System, standing: Standing, queries: Queries, text: str | None, encoded: Encoded | None) -> Bag:
    """The terms of a query with the weights that were searched; NotValid for a query without terms that have names."""
    vector = vector_of(standing, queries)
    if vector is None or standing.inverted is None:
        raise NotValid("`explain` is for inverted indexes of this program: this engine does not tell its vectors")
    searched = _named_bag(standing, vector, text, system.sides)
    if system.sides is None or encoded is None or text is None:
        return searched
    sides, row = system.sides, slice_rows(encoded.batch.rows, 0, 1)
    with sides.lock:
        bag = bag_of(sides.encoder("query"), Text("", text), row)
    kept = {term.token for term in searched.terms}
    return bag._replace(terms=tuple(term for term in bag.terms if term.token in kept))


def hit_matches(
    system: System, standing: Standing, bag: Bag, ids: Sequence[str], texts: Sequence[str | None], deadline: float
) -> list[Match]:
    """The terms that make the score of each hit, and those of the query that it lacks.

    The first hits are traced to the characters of their ``texts``, where these and a model are at hand, until the
    deadline; of the others the weights are told.
    """
    assert standing.inverted is not None
    index = standing.inverted.index
    found = []
    for place, (id, text) in enumerate(zip(ids, texts, strict=True)):
        traced = text if place < MOST and time.monotonic() < deadline else None
        found.append(match_of(bag, _held(system.sides, standing, index, shared_terms(index, bag, id), id, traced)))
    return found


def explained(sides: Sides, query: str | None, document: str | None) -> dict[str, Any]:
    """The bags of a query, of a document, and what makes their score; NotValid without either."""
    if query is None and document is None:
        raise NotValid("give `query`, `document`, or both")
    encoders = [sides.encoder(side) for side in ("query", "document")] if document is not None else []
    with sides.lock:
        if document is None:
            encoder = sides.encoder("query")
            asked = _bag(encoder, query or "")
            return {"query": asked.to_dict()}
        explainer = Explainer(*encoders)
        held = explainer.bag(document, "document")
        if query is None:
            return {"document": held.to_dict()}
        match = explainer.match(query, held)
    return match.to_dict() | {"query": match.query.to_dict(), "document": held.to_dict()}


def told_terms(match: Match, shown: Shown | None) -> list[dict[str, Any]]:
    """The terms of a hit as JSON; its document's characters are counted in its text, or in the title before it."""
    start = 0 if shown is None else len(shown.read) - len(shown.text)
    return [_split(term.to_dict(), start) for term in match.terms]


def _split(term: dict[str, Any], start: int) -> dict[str, Any]:
    spans = term["document_spans"]
    return term | {
        "title_spans": [span for span in spans if span[0] < start],
        "document_spans": [[a - start, b - start] for a, b in spans if a >= start],
    }


def _bag(encoder: TextEncoder, text: str) -> Bag:
    return bag_of(encoder, Text("", text), encoder.encode_all([Text("", text)]).rows)


def _held(sides: Sides | None, standing: Standing, index: Index, vector: SparseRows, id: str, text: str | None) -> Bag:
    """A document with the weights of the index, and where they come from as far as that can be told here."""
    names: Any = Names(standing, sides)
    if sides is None or text is None:
        return held_bag(index, vector, id, names)
    documents, queries = sides.loaded.get("document"), sides.encoder("query")
    if documents is not None:
        with sides.lock:
            known = _bag(documents, text)
    elif isinstance(queries, TableEncoder) and names.terms == queries.terms:
        known = bag_of(queries.documents, Text(id, text), vector)  # own words or added, no characters
    else:
        return held_bag(index, vector, id, names)
    return held_bag(index, vector, id, names, known)


def _named_bag(standing: Standing, vector: SparseBatch, text: str | None, sides: Sides | None) -> Bag:
    names = Names(standing, sides)
    tokens = [names.terms[term] for term in vector.rows.columns.tolist()]
    terms = [
        Term(token, term, reading, weight, None)
        for token, term, reading, weight in zip(
            tokens, vector.rows.columns.tolist(), names.readings(tokens), vector.rows.weights.tolist(), strict=True
        )
    ]
    return Bag("query", text, by_weight(terms))


class Names:
    """The names of an index's terms, as a model's where there is one reads them."""

    def __init__(self, standing: Standing, sides: Sides | None) -> None:
        self.terms, self._sides = standing.names, sides

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""
        return list(tokens) if self._sides is None else self._sides.encoder("query").readings(tokens)
