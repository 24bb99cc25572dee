"""Explanations as records: a text's bag of terms, and the terms that make the score of a query and a document.

Character spans are ``(start, stop)``, counted in the text as Python counts, so that ``text[start:stop]`` is the piece.
``to_dict`` of a record is its JSON form.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

Span = tuple[int, int]
"""The first character of a piece of a text, and the one after its last."""


class Token(NamedTuple):
    """A token that was read of a text."""

    position: int  # from 0, special tokens and the prompt counted
    token: str
    span: Span | None  # None for special tokens, those of the prompt, and where the place is not known


class Word(NamedTuple):
    """A word of a text, with the positions of its tokens."""

    text: str
    span: Span
    positions: tuple[int, ...]


class Position(NamedTuple):
    """A position of a text, and the weight that it would give a term by itself."""

    position: int
    weight: float


class Part(NamedTuple):
    """The share of a term's weight that one part of the model gave."""

    name: str  # "head", "own tokens" or "bm25"
    pooling: str  # "max" or "sum", over positions
    weight: float
    positions: tuple[Position, ...]  # with a weight above 0, heaviest first; not more than were asked for
    n_positions: int  # those with a weight above 0
    peaks: tuple[int, ...]  # max pooling: the positions that gave the maximum; empty for sums

    def to_dict(self) -> dict[str, Any]:
        """The part as JSON has it."""
        return {
            "name": self.name,
            "pooling": self.pooling,
            "weight": self.weight,
            "positions": [each._asdict() for each in self.positions],
            "n_positions": self.n_positions,
            "peaks": list(self.peaks),
        }


class Term(NamedTuple):
    """A term of a text's vector."""

    token: str  # as the vocabulary names it
    term: int  # its number
    reading: str  # the token as a reader reads it
    weight: float
    own: bool | None  # True: a token of the text; False: the model added it; None: the text is not known
    parts: tuple[Part, ...] = ()  # their weights add up to the term's; empty where the model does not tell
    spans: tuple[Span, ...] = ()
    """The characters whose positions gave the maximum; of a sum, those of the position that gave most."""

    @property
    def position(self) -> int | None:
        """The position that gave the maximum, of the heaviest part that takes one; None where no part does."""
        peaks = [(-part.weight, part.peaks[0]) for part in self.parts if part.peaks]
        return min(peaks)[1] if peaks else None

    def to_dict(self) -> dict[str, Any]:
        """The term as JSON has it."""
        return {
            "token": self.token,
            "term": self.term,
            "reading": self.reading,
            "weight": self.weight,
            "own": self.own,
            "position": self.position,
            "spans": [list(span) for span in self.spans],
            "parts": [part.to_dict() for part in self.parts],
        }


class Bag(NamedTuple):
    """A text as the model sees it: its terms, heaviest first, and the tokens that they come from."""

    side: str  # "query" or "document"
    text: str | None  # None where only the vector is known
    terms: tuple[Term, ...]
    tokens: tuple[Token, ...] = ()
    words: tuple[Word, ...] = ()
    model: str = ""
    id: str | None = None

    def called(self, model: str) -> "Bag":
        """The same under another name of the model."""
        return self._replace(model=model)

    def weights(self) -> dict[str, float]:
        """The weight of each term, by token."""
        return {term.token: term.weight for term in self.terms}

    def to_dict(self) -> dict[str, Any]:
        """The bag as JSON has it."""
        return {
            "model": self.model,
            "side": self.side,
            "id": self.id,
            "text": self.text,
            "n_terms": len(self.terms),
            "terms": [term.to_dict() for term in self.terms],
            "tokens": [token._asdict() | {"span": _list(token.span)} for token in self.tokens],
            "words": [
                {"text": word.text, "span": list(word.span), "positions": list(word.positions)} for word in self.words
            ],
        }


class MatchTerm(NamedTuple):
    """A term that a query and a document share, with its product, which is its part of the score."""

    token: str
    reading: str
    product: float
    query: Term
    document: Term

    def to_dict(self) -> dict[str, Any]:
        """The term as JSON has it."""
        return {
            "token": self.token,
            "reading": self.reading,
            "query_weight": self.query.weight,
            "document_weight": self.document.weight,
            "product": self.product,
            "query_own": self.query.own,
            "document_own": self.document.own,
            "query_spans": [list(span) for span in self.query.spans],
            "document_spans": [list(span) for span in self.document.spans],
            "query_position": self.query.position,
            "document_position": self.document.position,
        }


class Match(NamedTuple):
    """A query and a document: the terms that make the score, largest product first, and those that only one has."""

    query: Bag
    document: Bag
    terms: tuple[MatchTerm, ...]
    score: float  # as a search gives it: float32, summed in the order of the terms' numbers
    missing_in_document: tuple[Term, ...]  # terms of the query that the document lacks, heaviest first
    missing_in_query: tuple[Term, ...]  # terms of the document that the query lacks, heaviest first

    def called(self, model: str) -> "Match":
        """The same under another name of the model."""
        return self._replace(query=self.query.called(model), document=self.document.called(model))

    @property
    def sum(self) -> float:
        """The products added up in double precision; the score up to rounding."""
        return sum(term.product for term in self.terms)

    def to_dict(self) -> dict[str, Any]:
        """The match as JSON has it; of query and document the text and the words, not each whole bag."""
        return {
            "model": self.query.model,
            "query": _head(self.query),
            "document": _head(self.document),
            "score": self.score,
            "sum": self.sum,
            "terms": [term.to_dict() for term in self.terms],
            "missing_in_document": [_short(term) for term in self.missing_in_document],
            "missing_in_query": [_short(term) for term in self.missing_in_query],
        }


def by_weight(terms: Sequence[Term]) -> tuple[Term, ...]:
    """``terms``, heaviest first, equal ones in the order of their numbers."""
    return tuple(sorted(terms, key=lambda term: (-term.weight, term.term)))


def _head(bag: Bag) -> dict[str, Any]:
    return {"id": bag.id, "text": bag.text, "n_terms": len(bag.terms)}


def _short(term: Term) -> dict[str, Any]:
    told = term.to_dict()
    return {name: told[name] for name in ("token", "reading", "weight", "own", "spans")}


def _list(span: Span | None) -> list[int] | None:
    return None if span is None else list(span)
