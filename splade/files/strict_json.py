"""JSON that says one thing: an object with a key twice, or half of a character, is refused.

Python's own reader keeps the last value of a repeated key, so a judgement or a result would go without a word.
"""

import json
import re
from typing import Any

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]', re.DOTALL)
HALF = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """The problem with a JSON text, and the line (from 1) and column (from 1) it is in."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(problem)
        self.line, self.column = line, column


def parse_json(text: str) -> Any:
    """The value of a JSON text; JsonError says what is wrong with it, and where."""
    try:
        value = DECODER.decode(text)
    except _RepeatedKeyError as error:
        raise _repeated(text) from error
    except json.JSONDecodeError as error:
        raise JsonError(f"not valid JSON: {error.msg}", error.lineno, error.colno) from error
    except RecursionError as error:
        raise JsonError("not valid JSON: nested too deep", 1, 1) from error
    except ValueError as error:  # a whole number of thousands of digits
        raise JsonError(f"not valid JSON: {error}", 1, 1) from error
    if HALF.search(text):
        _refuse_half_characters(text, value)
    return value


class _RepeatedKeyError(Exception):
    pass


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_distinct)


def _repeated(text: str) -> JsonError:
    """The error for the first key that comes twice in its object; ``text`` is known to have one."""
    keys: list[set[str]] = []  # of the objects that are open, the innermost last, as far as they came
    owners: list[str] = [""]  # the key of each of them
    key, written, place = "", "", 0
    for token in TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            keys.append(set())
            owners.append(key)
        elif mark in "}]":
            keys.pop()
            owners.pop()
        elif mark != ":":  # a string; if it is a key, a colon follows
            written, place = mark, token.start()
        else:
            key = json.loads(written)
            if key in keys[-1]:
                break
            keys[-1].add(key)
    within = f", in that of {owners[-1]!r}" if owners[-1] else ""
    return JsonError(f"the key {key!r} comes twice in one object{within}", *_line_and_column(text, place))


def _line_and_column(text: str, place: int) -> tuple[int, int]:
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)


def _refuse_half_characters(text: str, value: Any) -> None:
    r"""JSON can spell half of a surrogate pair (``\ud800``), which no UTF-8 file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        place = max(text.lower().find(f"\\u{ord(half):x}"), 0)
        problem = f"holds half of a character ({half!a}); write it whole"
        raise JsonError(problem, *_line_and_column(text, place)) from error
