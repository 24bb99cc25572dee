"""The forms that an explanation is written in: text, JSON, and a page of HTML."""

import json
from collections.abc import Callable
from typing import Any

from splade.explaining.lines import lines_of
from splade.explaining.page import page
from splade.explaining.records import Bag, Match
from splade.explaining.side_by_side import SideBySide
from splade.explaining.text import as_text

Explained = Bag | Match | SideBySide


def as_json(explained: Explained, n: int = 20) -> str:  # noqa: ARG001 - as the other forms; here nothing is left out
    """All terms, as JSON that is indented."""
    return json.dumps(to_dict(explained), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_dict(explained: Explained) -> dict[str, Any]:
    """The JSON form, with its kind ("bag", "match" or "side_by_side") and, but for the last, its lines to read."""
    if isinstance(explained, SideBySide):
        return {"kind": "side_by_side", **explained.to_dict()}
    kind = "bag" if isinstance(explained, Bag) else "match"
    return {"kind": kind, **explained.to_dict(), "lines": [line.to_dict() for line in lines_of(explained)]}


FORMS: dict[str, Callable[[Explained, int], str]] = {"text": as_text, "json": as_json, "html": page}
"""Writers of an explanation by the name of the form; each takes the number of terms that it shows at most."""
