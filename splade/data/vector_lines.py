"""Vectors as JSON lines: ``{"id": "d1", "vector": {"token": 1.25}}``; other fields are ignored.

A compiled reader takes them as they mostly are; where it stumbles over a line, Python's own parser looks at all
lines of the stretch, to read them or to say what is wrong.
"""

import json
import math
import re
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.formats import json_object
from splade.data.lines import Chunk
from splade.data.vector_parts import Part
from splade.data.vector_terms import pack
from splade.files import InputError
from splade.kernels.vector_lines import Entries, read_entries

NUMBERS = {int, float}
NUMBER = re.compile(rb"[-+0-9.eE]+")


def parse_lines(path: Path, chunk: Chunk, start: int, stop: int, number: int) -> Part:
    """The vectors of lines ``start`` to ``stop`` of ``chunk``; ``number`` is that of the first one.

    InputError with file and line for whatever cannot be used.
    """
    first = chunk.first_line + start
    found = read_entries(chunk.buffer, chunk.starts[start:stop], chunk.ends[start:stop])
    if found is not None:
        _read_again(chunk.buffer, found)
        if np.isfinite(found.weights).all():
            ids = _texts(found.id_text, found.id_starts)
            return Part(path, first, number, ids, found.counts, found.weights, found.key_text, found.key_starts)
    return _parsed_one_by_one(path, [chunk.line(i) for i in range(start, stop)], first, number)


def _read_again(buffer: bytes, found: Entries) -> None:
    """Have Python read the weights of which the compiled reader is not sure how they are rounded."""
    for i in np.flatnonzero(found.places >= 0).tolist():
        written = NUMBER.match(buffer, int(found.places[i]))
        assert written is not None
        found.weights[i] = _as_float32(float(written[0]))


def _texts(text: NDArray[np.uint8], starts: NDArray[np.int64]) -> list[str]:
    raw, places = text.tobytes(), starts.tolist()
    return [raw[begin:end].decode("utf-8") for begin, end in pairwise(places)]


def _parsed_one_by_one(path: Path, lines: list[bytes], first: int, number: int) -> Part:
    ids: list[str] = []
    vectors: list[dict[str, float]] = []
    for line, raw in enumerate(lines, first):
        try:
            id, vector = _parsed(raw)
        except ValueError as error:
            raise InputError.at(path, line, str(error)) from error
        ids.append(id)
        vectors.append(vector)
    weights = [_as_float32(float(weight)) for vector in vectors for weight in vector.values()]
    counts = np.fromiter(map(len, vectors), np.int64, len(vectors))
    return Part(path, first, number, ids, counts, np.array(weights, np.float32), *pack(chain.from_iterable(vectors)))


def _parsed(raw: bytes) -> tuple[str, dict[str, float]]:
    """Id and vector of one line; ValueError says what is wrong with it."""
    if not raw.strip():
        raise ValueError("blank line; remove it")
    record = json_object(raw)
    json.loads(raw, object_pairs_hook=_refuse_twins)
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


def _refuse_twins(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key {key!r} comes twice in one object")
        seen.add(key)


def _id(id: Any) -> str:
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not id:
        raise ValueError(f"id must be a non-empty string or a whole number, got {_shown(id)}")
    return id


def _usable(weight: float) -> bool:
    try:
        return weight >= 0 and math.isfinite(_as_float32(float(weight)))
    except OverflowError:
        return False


def _as_float32(value: float) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):  # infinite ones are told, tiny ones are zeros
        return np.float32(value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
