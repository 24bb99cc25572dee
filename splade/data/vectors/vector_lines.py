"""Vectors as JSON lines: ``{"id": "d1", "vector": {"token": 1.25}}``; other fields are ignored."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from splade.data.text_files.formats import json_object
from splade.data.text_files.lines import Chunk
from splade.data.vectors.vector_parts import Part
from splade.files import InputError

NUMBERS = {int, float}
MOST = float(np.finfo(np.float32).max)


def parse_lines(path: Path, chunk: Chunk, start: int, stop: int, number: int) -> Part:
    """The vectors of lines ``start`` to ``stop`` of ``chunk``; ``number`` is that of the first one.

    InputError with file and line for a line that cannot be used.
    """
    first = chunk.first_line + start
    ids: list[str] = []
    keys: list[str] = []
    weights: list[float] = []
    counts = np.empty(stop - start, np.int64)
    for i in range(stop - start):
        try:
            id, vector = _parsed(chunk.line(start + i))
        except ValueError as error:
            raise InputError.at(path, first + i, str(error)) from error
        ids.append(id)
        keys.extend(vector)
        weights.extend(vector.values())
        counts[i] = len(vector)
    with np.errstate(over="ignore", under="ignore"):  # too large ones are told below, tiny ones are zeros
        kept = np.array(weights, np.float64).astype(np.float32)
    part = Part(path, first, number, ids, counts, kept, keys)
    if not np.isfinite(kept).all():
        place = int(np.isfinite(kept).argmin())
        raise part.error_at(place, _unusable(keys[place], weights[place]))
    return part


def _parsed(raw: bytes) -> tuple[str, dict[str, float]]:
    """Id and vector of one line; ValueError names the fault."""
    if not raw.strip():
        raise ValueError("blank line; remove it")
    record = json_object(raw)
    for name in ("id", "vector"):
        if name not in record:
            raise ValueError(f'no "{name}"; a line is {{"id": …, "vector": {{token: weight}}}}')
    vector = record["vector"]
    if not isinstance(vector, dict):
        raise ValueError(f"vector must be an object of weights by token or term id, got {_shown(vector)}")
    if not (set(map(type, vector.values())) <= NUMBERS and min(vector.values(), default=0) >= 0 and _in_range(vector)):
        raise ValueError(next(_unusable(key, weight) for key, weight in vector.items() if not _is_weight(weight)))
    return _id(record["id"]), vector


def _in_range(vector: dict[str, float]) -> bool:
    """True where the largest weight is one that float32 holds; no whole number is too large to be compared."""
    return max(vector.values(), default=0) <= MOST


def _is_weight(weight: Any) -> bool:
    return type(weight) in NUMBERS and 0 <= weight <= MOST


def _unusable(key: str, weight: Any) -> str:
    return f"the weight of {key!r} must be a finite number of at least 0, got {_shown(weight)}"


def _id(id: Any) -> str:
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not id:
        raise ValueError(f"id must be a non-empty string or a whole number, got {_shown(id)}")
    return id


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
