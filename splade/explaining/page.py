"""An explanation as one page of HTML: the text with its words highlighted, and the terms beside them.

The page is whole in itself: it fetches nothing and runs nothing. Every text is escaped where it is put in.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from splade.explaining.lines import Line, lines_of
from splade.explaining.records import Bag, Match, MatchTerm, Span, Term
from splade.explaining.side_by_side import SideBySide
from splade.explaining.text import names_of, shortened, source_of, word_at
from splade.reports.markup import Html, document, fold, joined, table, tag

STYLE = Path(__file__).with_name("page.css")
STEPS = 5  # strengths of a highlight

Weighted = tuple[Span, float, str]  # a piece of a text, its weight, and the term that it counts for


def page(explained: Bag | Match | SideBySide, n: int = 20) -> str:
    """The HTML of an explanation, with ``n`` lines of terms at most in each open table; the others are folded."""
    title, content = _page_of(explained, n)
    return document(title, tag("h1", title), *content, style=STYLE.read_text(encoding="utf-8"))


def _page_of(explained: Bag | Match | SideBySide, n: int) -> tuple[str, list[Html]]:
    if isinstance(explained, SideBySide):
        return _side_by_side(explained, n)
    return _bag(explained, n) if isinstance(explained, Bag) else _match(explained, n)


def _bag(bag: Bag, n: int) -> tuple[str, list[Html]]:
    by = f" by {bag.model}" if bag.model else ""
    content = [highlighted(bag, ((span, term.weight, term.reading) for term in bag.terms for span in term.spans))]
    lines = lines_of(bag)
    most = max((line.value for line in lines), default=0.0)
    for own, title in ((True, "Its own words"), (False, "Words that the model added"), (None, "Terms")):
        chosen = [line for line in lines if line.terms[0].own is own]
        if chosen:
            rows = [
                (line.reading, _number(line.value), _bar(line.value / most, own), _from(line, bag)) for line in chosen
            ]
            content += [tag("h2", f"{title} ({len(chosen)})"), *_tables(("term", "weight", "", "from"), rows, (1,), n)]
    return f"{bag.side.capitalize()}{f' {bag.id}' if bag.id else ''}{by}: {len(bag.terms)} terms", content


def _match(match: Match, n: int) -> tuple[str, list[Html]]:
    by = f" by {match.query.model}" if match.query.model else ""
    content = []
    for bag, side in ((match.query, "query"), (match.document, "document")):
        pieces = (
            (span, term.product, term.reading)
            for term in match.terms
            for span in (term.query if side == "query" else term.document).spans
        )
        content += [tag("h2", f"{side.capitalize()}{f' {bag.id}' if bag.id else ''}"), highlighted(bag, pieces)]
    lines = lines_of(match)
    most = max((line.value for line in lines), default=0.0)
    head = ("term", "query", "document", "product", "share", "", "from the query", "from the document")
    shown, others = ([row for line in some for row in _products(line, match, most)] for some in (lines[:n], lines[n:]))
    content += [tag("h2", "Products"), *_tables(head, shown + others, (1, 2, 3, 4), len(shown), len(lines[n:]))]
    content.append(tag("p", "A + after a weight: the model added the term to this text.", class_="soft"))
    for title, terms, bag in (
        ("In the query alone", match.missing_in_document, match.query),
        ("In the document alone", match.missing_in_query, match.document),
    ):
        rows = [(term.reading, _weight(term), source_of(term, bag)) for term in terms]
        if rows:
            found = _tables(("term", "weight", "from"), rows, (1,), n)
            content += [tag("h2", f"{title} ({len(terms)})"), *found]
    return f"Score {match.score:.6g}{by}: the sum of {len(match.terms)} products", content


def _side_by_side(pair: SideBySide, n: int) -> tuple[str, list[Html]]:
    names = names_of(pair)
    most = max((max(term.first, term.second) for term in pair.terms), default=0.0)
    rows = [
        (
            term.reading,
            _number(term.first),
            _bar(term.first / most, term.own[0]),
            _number(term.second),
            _bar(term.second / most, term.own[1]),
            f"{term.difference:+.4g}",
        )
        for term in pair.terms
    ]
    head = ("term", names[0], "", names[1], "", "difference")
    legend = tag("p", "Blue: a term of the text itself; orange: one that the model added.", class_="soft")
    content = [tag("h2", "Terms side by side"), *_tables(head, rows, (1, 3, 5), n), legend]
    for name, explained in zip(names, (pair.first, pair.second), strict=True):
        title, own = _page_of(explained.called(name), n)
        content.append(fold(f"{name}: {title}", *own))
    return f"{names[0]} and {names[1]}", content


def highlighted(bag: Bag, pieces: Iterable[Weighted]) -> Html:
    """The text of a bag with its ``pieces`` marked: the heavier, the stronger. Pieces may overlap."""
    if bag.text is None:
        return tag("p", shortened(None), class_="missing")
    parts = list(segments(bag.text, list(pieces)))
    most = max((weight for _, weight, _ in parts), default=0.0)
    shown = [
        _marked(bag, span, weight / most, terms) if terms else bag.text[slice(*span)] for span, weight, terms in parts
    ]
    return tag("p", *shown, class_="text")


def segments(text: str, pieces: Sequence[Weighted]) -> Iterator[tuple[Span, float, list[str]]]:
    """Cut ``text`` where pieces begin and end: each segment with the sum of their weights, and their terms."""
    borders = sorted({0, len(text), *(place for span, _, _ in pieces for place in span)})
    for start, stop in pairwise(borders):
        own = [(weight, term) for (first, last), weight, term in pieces if first <= start and stop <= last]
        yield (start, stop), sum(weight for weight, _ in own), [term for _, term in sorted(own, reverse=True)]


def _marked(bag: Bag, span: Span, share: float, terms: Sequence[str]) -> Html:
    strength = f"p{max(1, round(share * STEPS))}"
    told = ", ".join(terms[:STEPS]) + f" and {len(terms) - STEPS} more" * (len(terms) > STEPS)
    return tag("mark", (bag.text or "")[slice(*span)], id=_anchor(bag, span[0]), class_=strength, title=told)


def _products(line: Line, match: Match, most: float) -> Iterator[Sequence[object]]:
    share = f"{line.value / match.score:.1%}" if match.score else ""
    together = (_number(line.value), share, _bar(line.value / most, _whose(line.terms)))
    if len(line.terms) > 1:
        yield line.reading, "", "", *together, "", ""
    for term in line.terms:
        alone = len(line.terms) == 1
        yield (
            term.reading if alone else f"– {term.reading}",
            _weight(term.query),
            _weight(term.document),
            *(together if alone else (_number(term.product), "", "")),
            _origin(term.query, match.query),
            _origin(term.document, match.document),
        )


def _whose(terms: Sequence[MatchTerm]) -> bool | None:
    return terms[0].document.own


def _from(line: Line, bag: Bag) -> Html:
    if len(line.terms) > 1:
        return joined(" + ".join(f"{term.reading} {_number(term.weight)}" for term in line.terms))
    return _origin(line.terms[0], bag)


def _origin(term: Term, bag: Bag) -> Html:
    """Links to the pieces of the text that a term comes from; the token where it has no characters there."""
    if bag.text is None or not term.spans:
        return joined(source_of(term, bag))
    links = [tag("a", word_at(bag, span), href=f"#{_anchor(bag, span[0])}") for span in term.spans]
    return joined(*(part for link in links for part in (link, " ")))


def _anchor(bag: Bag, start: int) -> str:
    return "-".join([*re.findall(r"\w+", bag.model), bag.side, str(start)])


def _weight(term: Term) -> Html:
    return tag("span", _number(term.weight), **({"class_": "added-term"} if term.own is False else {}))


def _bar(share: float, own: bool | None) -> Html:
    kind = "unknown" if own is None else "own" if own else "added"
    bar = tag("span", class_=kind, style=f"width: {max(share, 0):.1%}")
    return tag("div", bar, class_="bars")


def _number(value: float) -> str:
    return f"{value:.4g}"


def _tables(
    head: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int], n: int, more: int | None = None
) -> list[Html]:
    """A table of the first ``n`` rows, and one of the others, ``more`` terms, that opens at a click."""
    found = [table(head, rows[:n], numbers)] if rows else []
    more = len(rows) - n if more is None else more
    return found + ([fold(f"{more} more", table(head, rows[n:], numbers))] if len(rows) > n else [])
