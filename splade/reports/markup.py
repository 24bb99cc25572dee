"""Pieces of HTML. Every text that comes from outside is escaped here, and nowhere else is markup made of it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

STYLE = Path(__file__).with_name("page.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The browser fetches nothing for this page and runs nothing in it."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: Any) -> Html:
    """``value`` as text of the page: escaped, unless it is markup already."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, *content: Any, **attributes: str) -> Html:
    """An element; ``class_`` is its class."""
    told = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{told}>{''.join(map(text, content))}</{name}>")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Iterable[int] = (), caption: str = "") -> Html:
    """A table that scrolls sideways in its own place; columns ``numbers`` are set as numbers."""
    right = {number: {"class_": "number"} for number in numbers}
    top = tag("tr", *(tag("th", name, scope="col", **right.get(place, {})) for place, name in enumerate(head)))
    body = [tag("tr", *(tag("td", cell, **right.get(place, {})) for place, cell in enumerate(row))) for row in rows]
    named = [tag("caption", caption, class_="soft")] if caption else []
    whole = tag("table", *named, tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="wide", tabindex="0", role="region", **{"aria-label": caption or ", ".join(head)})


def facts(values: Mapping[str, Any]) -> Html:
    """A table of names and values."""
    rows = [tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in values.items()]
    return tag("div", tag("table", tag("tbody", *rows), class_="facts"), class_="wide")


def tiles(values: Mapping[str, str]) -> Html:
    """Large figures with their names."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in values.items()), class_="tiles")


def missing(why: str) -> Html:
    """A paragraph in the place of a part that is not at hand."""
    return tag("p", why, class_="missing")


def joined(*content: Any) -> Html:
    """Texts and markup, one after the other."""
    return Html("".join(map(text, content)))


def fold(title: Any, *content: Any, opened: bool = False) -> Html:
    """Content that opens at a click, or is open from the start."""
    return tag("details", tag("summary", title), tag("div", *content), **({"open": ""} if opened else {}))


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values of nested mappings by their addresses, ``{"versions.torch": …}``; numbers with four digits or so."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        address = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping):
            found |= flat(value, address)
        else:
            found[address] = f"{value:.6g}" if isinstance(value, float) else "–" if value is None else value
    return found


def document(title: str, *content: Any, style: str = "") -> str:
    """The whole page; ``style`` is added to that of a report."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>\n{STYLE.read_text(encoding='utf-8')}{style}</style>"
    )
    body = "\n".join(map(text, content))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
