"""Vectors as JSON lines: ``{"id": "d1", "vector": {"token": 1.25}}``; other fields are ignored."""

import json
import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.formats import json_object
from splade.data.vector_parts import Part
from splade.files import InputError

# Lines are parsed as one array, with this number between two of them, so that records cannot run into each other.
BETWEEN = 81723645.25
NUMBERS = {int, float}


def parse_lines(path: Path, lines: Sequence[bytes], first: int, number: int) -> Part:
    """The vectors of ``lines``, the first of which is line ``first`` and vector ``number``.

    InputError with file and line for whatever cannot be used.
    """
    try:
        part = _parsed_at_once(path, lines, first, number)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        part = None
    return part or _parsed_one_by_one(path, lines, first, number)


def _parsed_at_once(path: Path, lines: Sequence[bytes], first: int, number: int) -> Part | None:
    """The part, or None (or an error) where some line needs a closer look."""
    text = b",%f,".replace(b"%f", repr(BETWEEN).encode()).join(lines).decode("utf-8")
    if "\\ud" in text or "\\uD" in text:  # perhaps half of a character
        return None
    records: list[Any] = json.loads(f"[{text}]")
    if len(records) != 2 * len(lines) - 1 or any(record != BETWEEN for record in records[1::2]):
        return None
    del records[1::2]
    ids = [record["id"] for record in records]
    if set(map(type, ids)) != {str}:
        ids = [_id(id) for id in ids]
    if not all(ids):
        return None
    vectors = [record["vector"] for record in records]
    if set(map(type, vectors)) != {dict}:
        return None
    return _part(path, first, number, ids, vectors)


def _parsed_one_by_one(path: Path, lines: Sequence[bytes], first: int, number: int) -> Part:
    ids, vectors = [], []
    for line, raw in enumerate(lines, first):
        try:
            id, vector = _parsed(raw)
        except ValueError as error:
            raise InputError.at(path, line, str(error)) from error
        ids.append(id)
        vectors.append(vector)
    part = _part(path, first, number, ids, vectors)
    assert part is not None, "every weight was looked at"
    return part


def _part(path: Path, first: int, number: int, ids: list[str], vectors: list[dict[str, Any]]) -> Part | None:
    """The part; None where a weight cannot be used."""
    counts = np.fromiter(map(len, vectors), np.int64, len(vectors))
    values = list(chain.from_iterable(map(dict.values, vectors)))
    if not set(map(type, values)) <= NUMBERS:
        return None
    written = np.fromiter(values, np.float64, len(values))
    weights = _as_float32(written)
    if not (written >= 0).all() or not np.isfinite(weights).all():
        return None
    return Part(path, first, number, ids, counts, list(chain.from_iterable(vectors)), weights)


def _parsed(raw: bytes) -> tuple[str, dict[str, float]]:
    """Id and vector of one line; ValueError says what is wrong with it."""
    if not raw.strip():
        raise ValueError("blank line; remove it")
    record = json_object(raw)
    for name in ("id", "vector"):
        if name not in record:
            raise ValueError(f'no "{name}"; a line is {{"id": …, "vector": {{token: weight}}}}')
    vector = record["vector"]
    if not isinstance(vector, dict):
        raise ValueError(f"vector must be an object of weights by token or term id, got {_shown(vector)}")
    for key, weight in vector.items():
        if type(weight) not in NUMBERS or not _usable(weight):
            raise ValueError(f"the weight of {key!r} must be a finite number of at least 0, got {_shown(weight)}")
    return _id(record["id"]), vector


def _id(id: Any) -> str:
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not id:
        raise ValueError(f"id must be a non-empty string or a whole number, got {_shown(id)}")
    return id


def _usable(weight: float) -> bool:
    try:
        return weight >= 0 and math.isfinite(_as_float32(np.array([float(weight)]))[0])
    except OverflowError:
        return False


def _as_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):  # infinite ones are told, tiny ones are zeros
        return values.astype(np.float32)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
