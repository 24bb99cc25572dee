"""Explanations as text for a terminal: the largest terms, and what the others come to."""

from collections.abc import Iterator, Sequence

from splade.explaining.lines import Line, lines_of
from splade.explaining.records import Bag, Match, MatchTerm, Span, Term
from splade.explaining.side_by_side import SideBySide

GROUPS = {True: "its own words", False: "words that the model added", None: "terms (the text is not known)"}
LONGEST = 400  # characters of a text that are shown


def as_text(explained: Bag | Match | SideBySide, n: int = 20) -> str:
    """An explanation as text, with ``n`` lines of terms at most in each list."""
    if isinstance(explained, SideBySide):
        rows = _side_by_side(explained, n)
    else:
        rows = _bag(explained, n) if isinstance(explained, Bag) else _match(explained, n)
    return "\n".join(row.rstrip() for row in rows) + "\n"


def _bag(bag: Bag, n: int) -> Iterator[str]:
    yield f"{_title(bag)}: {len(bag.terms)} terms"
    yield shortened(bag.text)
    for own, title in GROUPS.items():
        lines = [line for line in lines_of(bag) if line.terms[0].own is own]
        if not lines:
            continue
        yield ""
        yield f"{title} ({sum(len(line.terms) for line in lines)})"
        rows = [(line.reading, f"{line.value:.4g}", _pieces(line) or source_of(line.terms[0], bag)) for line in lines]
        yield from table(("term", "weight", "from"), rows[:n])
        yield from _rest(lines[n:], "weight")


def _match(match: Match, n: int) -> Iterator[str]:
    yield f"score {match.score:.6g}, the sum of {len(match.terms)} products" + f" ({match.query.model})" * bool(
        match.query.model
    )
    yield f"query:    {shortened(match.query.text)}"
    yield f"document: {f'{match.document.id}  ' * bool(match.document.id)}{shortened(match.document.text)}"
    yield ""
    lines = lines_of(match)
    rows = [row for line in lines[:n] for row in _products(line, match)]
    yield from table(("term", "query", "document", "product", "share", "from"), rows)
    yield from _rest(lines[n:], "product")
    for title, terms in (
        ("of the query, missing in the document", match.missing_in_document),
        ("of the document, missing in the query", match.missing_in_query),
    ):
        if terms:
            shown = ", ".join(f"{term.reading} {term.weight:.3g}" for term in terms[:n])
            yield f"{title}: {shown}" + f" and {len(terms) - n} more" * (len(terms) > n)
    yield "a + after a weight: the model added the term to this text; it is not one of its own"


def _products(line: Line, match: Match) -> Iterator[Sequence[str]]:
    share = f"{line.value / match.score:.1%}" if match.score else ""
    if len(line.terms) > 1:
        yield line.reading, "", "", f"{line.value:.4g}", share, ""
    for term in line.terms:
        alone = len(line.terms) == 1
        yield (
            term.reading if alone else f"  {term.reading}",
            _marked(term.query),
            _marked(term.document),
            f"{term.product:.4g}",
            share if alone else "",
            " ← ".join(filter(None, origins(term, match))),
        )


def _side_by_side(pair: SideBySide, n: int) -> Iterator[str]:
    first, second = names_of(pair)
    for name, one in ((first, pair.first), (second, pair.second)):
        said = f"{len(one.terms)} terms" if isinstance(one, Bag) else f"score {one.score:.6g}"
        yield f"{name}: {said}"
    if isinstance(pair.first, Bag):
        yield shortened(pair.first.text)
    else:
        yield f"query:    {shortened(pair.first.query.text)}"
        yield f"document: {shortened(pair.first.document.text)}"
    yield ""
    rows = [(each.reading, f"{each.first:.4g}", f"{each.second:.4g}", f"{each.difference:+.4g}") for each in pair.terms]
    yield from table(("term", first, second, "difference"), rows[:n])
    if len(rows) > n:
        yield f"  and {len(rows) - n} more"


def names_of(pair: SideBySide) -> tuple[str, str]:
    """The names of the two models, "first" and "second" where they have none, and never the same."""
    one, other = (
        explained.model if isinstance(explained, Bag) else explained.query.model
        for explained in (pair.first, pair.second)
    )
    one, other = one or "first", other or "second"
    return (one, other) if one != other else (f"{one} (1)", f"{other} (2)")


def source_of(term: Term, bag: Bag) -> str:
    """The words of the text whose positions gave most of a term; the token where it has no characters there."""
    if bag.text is not None and term.spans:
        return ", ".join(dict.fromkeys(word_at(bag, span) for span in term.spans))
    position = term.position
    return "" if position is None or not bag.tokens else bag.tokens[position].token


def word_at(bag: Bag, span: Span) -> str:
    """The whole word of the text that a piece is of; the piece where it is of none."""
    start, stop = span
    return (
        next((word.text for word in bag.words if word.span[0] <= start and stop <= word.span[1]), "")
        or (bag.text or "")[start:stop]
    )


def origins(term: MatchTerm, match: Match) -> tuple[str, str]:
    """The pieces of query and document that a shared term comes from."""
    return source_of(term.query, match.query), source_of(term.document, match.document)


def shortened(text: str | None) -> str:
    """A text in one line, its end left out where it is long."""
    line = "(the text is not known)" if text is None else " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows under their heads, the first and the last column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    last = len(head) - 1 if head[-1] == "from" else -1
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells)


def _title(bag: Bag) -> str:
    return " ".join(filter(None, (bag.side, bag.id, f"by {bag.model}" if bag.model else "")))


def _pieces(line: Line) -> str:
    if len(line.terms) < 2:
        return ""
    return " + ".join(f"{term.reading} {term.weight:.3g}" for term in line.terms)


def _marked(term: Term) -> str:
    return f"{term.weight:.4g}{'+' if term.own is False else ' '}"


def _rest(lines: Sequence[Line], what: str) -> Iterator[str]:
    if lines:
        yield f"  and {len(lines)} more, of {what} {sum(line.value for line in lines):.4g} together"
