"""Two models side by side: the terms of one text, or of one score, by both."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from splade.explaining.records import Bag, Match, MatchTerm, Term


class Pair(NamedTuple):
    """A term by two models; 0 where one of them has it not."""

    token: str
    reading: str
    first: float  # its weight in a text, or its product in a score
    second: float
    own: tuple[bool | None, bool | None]  # of the text, or of the document; None where a model has it not

    @property
    def difference(self) -> float:
        """The first minus the second."""
        return self.first - self.second

    def to_dict(self) -> dict[str, Any]:
        """The pair as JSON has it."""
        return self._asdict() | {"own": list(self.own), "difference": self.difference}


class SideBySide(NamedTuple):
    """Two explanations of the same, and their terms beside each other, the largest of the two values first."""

    first: Bag | Match
    second: Bag | Match
    terms: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "terms": [term.to_dict() for term in self.terms],
        }


def compare(first: Bag | Match, second: Bag | Match) -> SideBySide:
    """Two bags, or two matches, side by side, term by term; terms are the same where their tokens are.

    ValueError for a bag and a match.
    """
    if isinstance(first, Bag) is not isinstance(second, Bag):
        raise ValueError("a bag and a match have nothing to compare: give two of one kind")
    one, other = _by_token(first), _by_token(second)
    pairs = [_pair(token, one, other) for token in {**one, **other}]
    return SideBySide(first, second, tuple(sorted(pairs, key=lambda p: (-max(p.first, p.second), p.token))))


def _by_token(explained: Bag | Match) -> dict[str, Term | MatchTerm]:
    return {term.token: term for term in explained.terms}


def _pair(token: str, one: Mapping[str, Term | MatchTerm], other: Mapping[str, Term | MatchTerm]) -> Pair:
    found = [side.get(token) for side in (one, other)]
    reading = next(term.reading for term in found if term is not None)
    return Pair(token, reading, _value(found[0]), _value(found[1]), (_own(found[0]), _own(found[1])))


def _value(term: Term | MatchTerm | None) -> float:
    return 0.0 if term is None else term.weight if isinstance(term, Term) else term.product


def _own(term: Term | MatchTerm | None) -> bool | None:
    return None if term is None else term.own if isinstance(term, Term) else term.document.own
