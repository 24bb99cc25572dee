"""The score of a query and a document, term by term."""

import numpy as np

from splade.explaining.records import Bag, Match, MatchTerm


def match_of(query: Bag, document: Bag) -> Match:
    """The terms that two bags share, by token, their products, and the terms that only one of them has."""
    asked = {term.token: term for term in query.terms}
    held = {term.token: term for term in document.terms}
    both = [(asked[token], held[token]) for token in asked.keys() & held.keys()]
    both.sort(key=lambda pair: pair[1].term)
    products = np.array([a.weight for a, _ in both], np.float32) * np.array([b.weight for _, b in both], np.float32)
    terms = [
        MatchTerm(a.token, a.reading, product, a, b) for (a, b), product in zip(both, products.tolist(), strict=True)
    ]
    return Match(
        query,
        document,
        tuple(sorted(terms, key=lambda term: (-term.product, term.document.term))),
        float(np.cumsum(products, dtype=np.float32)[-1]) if terms else 0.0,
        tuple(term for term in query.terms if term.token not in held),
        tuple(term for term in document.terms if term.token not in asked),
    )
