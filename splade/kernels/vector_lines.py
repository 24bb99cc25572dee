"""Lines of ``{"id": …, "vector": {key: weight}}`` to flat arrays, without a Python object for each entry."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel, read_only
from splade.kernels.json_numbers import ZERO, read_digits, read_number
from splade.kernels.json_text import (
    CLOSE_OBJECT,
    COLON,
    COMMA,
    OPEN_OBJECT,
    QUOTE,
    read_string,
    skip_space,
    skip_value,
)


class Entries(NamedTuple):
    """What some lines hold. Texts are UTF-8, one after the other: text i is ``text[starts[i]:starts[i + 1]]``."""

    id_text: NDArray[np.uint8]
    id_starts: NDArray[np.int64]  # [lines + 1]
    counts: NDArray[np.int64]  # [lines], entries of each
    key_text: NDArray[np.uint8]
    key_starts: NDArray[np.int64]  # [entries + 1]
    weights: NDArray[np.float32]  # [entries], ≥ 0, maybe infinite
    places: NDArray[np.int64]  # [entries], where a weight stands in the buffer that is to be read again; else -1
    scratch: NDArray[np.uint8]


def read_entries(buffer: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Entries | None:
    """The lines ``buffer[starts[i]:ends[i]]`` (UTF-8); None where one of them needs a closer look.

    That is where something is missing, twice there, of another kind, negative, or not JSON.
    """
    n_lines = len(starts)
    size = int((ends - starts).sum())
    most = size // 5 + 1  # "":0, has five letters
    empty = Entries(
        np.empty(size, np.uint8),
        np.zeros(n_lines + 1, np.int64),
        np.zeros(n_lines, np.int64),
        np.empty(size, np.uint8),
        np.zeros(most + 1, np.int64),
        np.empty(most, np.float32),
        np.empty(most, np.int64),
        np.empty(size, np.uint8),
    )
    n = scan_lines(np.frombuffer(buffer, np.uint8), read_only(starts), read_only(ends), empty)
    if n < 0:
        return None
    return empty._replace(
        id_text=empty.id_text[: empty.id_starts[-1]],
        key_text=empty.key_text[: empty.key_starts[n]],
        key_starts=empty.key_starts[: n + 1],
        weights=empty.weights[:n],
        places=empty.places[:n],
    )


@kernel
def scan_lines(text, starts, ends, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` with all lines; the number of entries, or -1."""
    n = 0
    for i in range(starts.size):
        before = n
        n = scan_line(text, starts[i], ends[i], i, n, out)
        if n < 0:
            return -1
        out.counts[i] = n - before
    return n


@kernel
def scan_line(text, p, end, line, n, out):  # type: ignore[no-untyped-def]
    """Append a line, before which there are ``n`` entries; how many there are then, or -1."""
    has_id, has_vector = False, False
    p = skip_space(text, p, end)
    if p >= end or text[p] != OPEN_OBJECT:
        return -1
    while True:
        p = skip_space(text, p + 1, end)
        if p >= end or text[p] != QUOTE:
            return -1
        p, size = read_string(text, p + 1, end, out.scratch, 0)
        p = colon(text, p, end)
        if p < 0:
            return -1
        if size == 2 and named(out.scratch, b"id"):
            p = read_id(text, p, end, line, out) if not has_id else -1
            has_id = True
        elif size == 6 and named(out.scratch, b"vector"):
            p, n = read_vector(text, p, end, n, out) if not has_vector else (-1, n)
            has_vector = True
        else:
            p = skip_value(text, p, end, out.scratch)
        p = skip_space(text, p, end) if p >= 0 else end
        if p >= end:
            return -1
        if text[p] == CLOSE_OBJECT:
            return n if has_id and has_vector and skip_space(text, p + 1, end) == end else -1
        if text[p] != COMMA:
            return -1


@kernel
def named(scratch, name):  # type: ignore[no-untyped-def]
    """Whether ``scratch`` begins with ``name``."""
    equal = True
    for i in range(len(name)):
        equal = equal and scratch[i] == name[i]
    return equal


@kernel
def colon(text, p, end):  # type: ignore[no-untyped-def]
    """Where the value begins behind the colon; -1 where there is none, or where ``p`` is."""
    if p < 0:
        return -1
    p = skip_space(text, p, end)
    return skip_space(text, p + 1, end) if p < end and text[p] == COLON else -1


@kernel
def read_id(text, p, end, line, out):  # type: ignore[no-untyped-def]
    """Append an id, a string or a whole number, that is not empty."""
    at = begin = out.id_starts[line]
    if p >= end:
        return -1
    if text[p] == QUOTE:
        p, at = read_string(text, p + 1, end, out.id_text, at)
    else:
        last = read_digits(text, p, end)
        if last > p + 1 and text[p] == ZERO:
            return -1
        for q in range(p, last):
            out.id_text[at] = text[q]
            at += 1
        p = last
    out.id_starts[line + 1] = at
    return p if at > begin else -1


@kernel
def read_vector(text, p, end, n, out):  # type: ignore[no-untyped-def]
    """Append the entries of a vector; the place behind it, or -1, and the number of entries."""
    if p >= end or text[p] != OPEN_OBJECT:
        return -1, n
    p = skip_space(text, p + 1, end)
    if p < end and text[p] == CLOSE_OBJECT:
        return p + 1, n
    while True:
        if p >= end or text[p] != QUOTE:
            return -1, n
        p, out.key_starts[n + 1] = read_string(text, p + 1, end, out.key_text, out.key_starts[n])
        begin = colon(text, p, end)
        if begin < 0:
            return -1, n
        p, weight, sure = read_number(text, begin, end)
        if p < 0:
            return -1, n
        out.weights[n] = weight
        out.places[n] = -1 if sure else begin
        n += 1
        p = skip_space(text, p, end)
        if p < end and text[p] == CLOSE_OBJECT:
            return p + 1, n
        if p >= end or text[p] != COMMA:
            return -1, n
        p = skip_space(text, p + 1, end)
