"""Words of a text: neighbouring tokens of one word are joined, for reading.

Tokenizers disagree on what a word is, and those of decoders know none. Words are told by characters here: two tokens
that touch belong together where letters or digits meet. Scripts without spaces have no such borders, so each of their
tokens is a word.
"""

import unicodedata
from collections.abc import Iterator, Sequence

from splade.explaining.records import Span, Token, Word

WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts that put no spaces between words, as names of Unicode characters begin."""


def words_of(text: str, tokens: Sequence[Token]) -> tuple[Word, ...]:
    """The words of ``text`` that ``tokens`` cover, in their order; tokens without characters are in none."""
    return tuple(Word(text[start:stop], (start, stop), positions) for (start, stop), positions in _runs(text, tokens))


def _runs(text: str, tokens: Sequence[Token]) -> Iterator[tuple[Span, tuple[int, ...]]]:
    start, stop, positions = 0, 0, list[int]()
    for token in tokens:
        if token.span is None:
            continue
        first, last = token.span
        if positions and _is_one_word(text, stop, first):
            stop = max(stop, last)
            positions.append(token.position)
            continue
        if positions:
            yield (start, stop), tuple(positions)
        start, stop, positions = first, last, [token.position]
    if positions:
        yield (start, stop), tuple(positions)


def _is_one_word(text: str, stop: int, start: int) -> bool:
    """True where the tokens that end at ``stop`` and begin at ``start`` are pieces of one word, or of one letter."""
    if start < stop:
        return True
    return start == stop and all(_is_letter(text[place]) for place in (stop - 1, start))


def _is_letter(letter: str) -> bool:
    if not (letter.isalnum() or unicodedata.category(letter).startswith("M")):
        return False
    return not unicodedata.name(letter, "").startswith(WITHOUT_SPACES)
