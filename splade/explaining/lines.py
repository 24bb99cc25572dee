"""Terms as lines to read: the pieces of one word of the text are joined, and count together.

The values of all lines add up to those of all terms, so that the lines of a match still make its score.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from splade.explaining.records import Bag, Match, Word


class Line(NamedTuple):
    """A word, or a term that is no piece of one."""

    reading: str
    value: float  # the sum of the terms' weights, or of their products
    terms: tuple[Any, ...]  # `Term` or `MatchTerm`, heaviest first

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON has it."""
        return {"reading": self.reading, "value": self.value, "tokens": [term.token for term in self.terms]}


def lines_of(explained: Bag | Match) -> tuple[Line, ...]:
    """The lines of a bag, by weight, or of a match, by product; the largest first.

    Pieces are joined by the words of the bag's text, of a match by those of the query's.
    """
    if isinstance(explained, Bag):
        return _lines(explained.terms, [term.weight for term in explained.terms], pieces_in(explained))
    return _lines(explained.terms, [term.product for term in explained.terms], pieces_in(explained.query))


def pieces_in(bag: Bag) -> dict[str, Word]:
    """The word of each token that stands in a text as a piece alone: the first one where there are several."""
    names = {token.position: token.token for token in bag.tokens}
    whole = {names[word.positions[0]] for word in bag.words if len(word.positions) == 1}
    found: dict[str, Word] = {}
    for word in bag.words:
        if len(word.positions) > 1:
            for place in word.positions:
                found.setdefault(names[place], word)
    return {token: word for token, word in found.items() if token not in whole}


def _lines(terms: Sequence[Any], values: Sequence[float], pieces: dict[str, Word]) -> tuple[Line, ...]:
    joined: dict[tuple[Any, ...], list[tuple[Any, float]]] = {}
    for term, value in zip(terms, values, strict=True):
        word = pieces.get(term.token)
        joined.setdefault(("token", term.token) if word is None else ("word", *word.span), []).append((term, value))
    lines = []
    for group in joined.values():
        first = group[0][0]
        reading = pieces[first.token].text if len(group) > 1 else first.reading
        lines.append(Line(reading, sum(value for _, value in group), tuple(term for term, _ in group)))
    return tuple(sorted(lines, key=lambda line: (-line.value, line.reading)))
