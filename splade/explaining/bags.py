"""Bags made of vectors and of what a model tells of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splade.explaining.records import Bag, Part, Position, Span, Term, Token, by_weight
from splade.explaining.sides import SideEncoder
from splade.explaining.words import words_of
from splade.indexing import Index
from splade.records import Provenance, Source, SparseRows, Text, TextTokens


def bag_of(encoder: SideEncoder, text: Text, vector: SparseRows, model: str = "", n_positions: int = 8) -> Bag:
    """The bag of ``text``, whose one row of weights is ``vector``, as ``encoder`` gave it."""
    told = encoder.provenance(text, vector.columns)
    names = [encoder.terms[term] for term in vector.columns.tolist()]
    readings = encoder.readings(names)
    tokens = _tokens(encoder, told.tokens)
    own = set(told.tokens.input_ids[told.tokens.own].tolist())
    terms = []
    for place, (term, weight) in enumerate(zip(vector.columns.tolist(), vector.weights.tolist(), strict=True)):
        parts = tuple(part for source in told.sources if (part := _part(source, place, n_positions)).weight > 0)
        spans = _spans(told, parts)
        terms.append(Term(names[place], term, readings[place], weight, term in own, parts, spans))
    return Bag(encoder.side, text.text, by_weight(terms), tokens, words_of(text.text, tokens), model, text.id or None)


def held_bag(
    index: Index, vector: SparseRows, doc_id: str, encoder: SideEncoder, known: Bag | None = None, model: str = ""
) -> Bag:
    """A document of ``index`` with the weights of ``vector``, one row of its terms, which the index keeps.

    ``known`` is the bag that the model makes of its text, which tells of each term where it comes from. Terms have the
    index's numbers; where it does not name them, they are the model's.
    """
    numbers = vector.columns.tolist()
    tokens = numbers_named(index, encoder, numbers)
    behind = {term.token: term for term in known.terms} if known else {}
    own = {token.token for token in known.tokens if token.span} if known else set()
    terms = []
    for token, reading, term, weight in zip(
        tokens, encoder.readings(tokens), numbers, vector.weights.tolist(), strict=True
    ):
        found = behind.get(token) or Term(token, term, reading, weight, token in own if known else None)
        terms.append(found._replace(term=term, weight=weight))
    if known is None:
        return Bag("document", None, by_weight(terms), model=model, id=doc_id)
    return known._replace(terms=by_weight(terms), id=doc_id)


def shared_terms(index: Index, query: Bag, doc_id: str) -> SparseRows:
    """The weights, one row, that a document of ``index`` has for the terms of ``query``; no other terms are read.

    InputError where the index has no such document.
    """
    found = index.explain(in_terms_of(index, query), doc_id)
    return SparseRows(np.array([0, len(found.terms)]), found.terms, found.document_weights)


def numbers_named(index: Index, encoder: SideEncoder, numbers: Sequence[int]) -> list[str]:
    """The names of terms of ``index``: the model's, where it does not name them."""
    names = index.vocabulary
    if names is not None:
        return [names[term] for term in numbers]
    return [encoder.terms[term] if term < len(encoder.terms) else str(term) for term in numbers]


def in_terms_of(index: Index, bag: Bag) -> SparseRows:
    """The weights of ``bag`` as one row of terms of ``index``; terms that it does not know are left out."""
    names = index.vocabulary
    pairs = sorted(
        (number, term.weight)
        for term in bag.terms
        if (number := term.term if names is None else names.numbers_of.get(term.token, -1)) >= 0
        and number < index.vocab_size
    )
    columns, weights = [number for number, _ in pairs], [weight for _, weight in pairs]
    return SparseRows(np.array([0, len(pairs)]), np.array(columns, np.int32), np.array(weights, np.float32))


def _tokens(encoder: SideEncoder, tokens: TextTokens) -> tuple[Token, ...]:
    return tuple(
        Token(place, encoder.terms[token], None if start < 0 else (start, stop))
        for place, (token, (start, stop)) in enumerate(
            zip(tokens.input_ids.tolist(), tokens.spans.tolist(), strict=True)
        )
    )


def _part(source: Source, place: int, n_positions: int) -> Part:
    """The share of one part of the model in the weight of the term at ``place``."""
    weights: NDArray[np.float32] = source.weights[:, place]
    active = np.flatnonzero(weights > 0)
    order = active[np.argsort(-weights[active], kind="stable")]
    heaviest = tuple(Position(position, float(weights[position])) for position in order[:n_positions].tolist())
    if source.pooling == "sum":
        return Part(source.name, "sum", float(weights.sum(dtype=np.float64)), heaviest, len(active), ())
    largest = float(weights.max(initial=0))
    peaks = tuple(np.flatnonzero(weights == largest).tolist()) if largest > 0 else ()
    return Part(source.name, "max", largest, heaviest, len(active), peaks)


def _spans(told: Provenance, parts: tuple[Part, ...]) -> tuple[Span, ...]:
    """The characters of the positions that gave the most, in their order."""
    positions = {place for part in parts for place in part.peaks or [part.positions[0].position]}
    found = {(start, stop) for start, stop in told.tokens.spans[sorted(positions)].tolist() if start >= 0}
    return tuple(sorted(found))
