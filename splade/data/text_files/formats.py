"""The formats that a line of a collection may have: ``id<TAB>text``, or a JSON object."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.data.text_files.ids import hash_ids, hash_spans
from splade.data.text_files.lines import Chunk
from splade.files import InputError
from splade.files.strict_json import JsonError, parse_json
from splade.records import Text


class Scanned(NamedTuple):
    """The facts that indexing needs to know of each line of a chunk."""

    hashes: NDArray[np.uint64]  # of the ids
    empty: NDArray[np.bool_]  # whether the text is empty


class LineFormat(Protocol):
    """One text a line."""

    def parse(self, line: bytes) -> Text:
        """The text of a line (valid UTF-8); ValueError names the fault."""

    def scan(self, path: Path, chunk: Chunk) -> Scanned:
        """The ids of a chunk, all of its lines checked; InputError names the first bad one."""


def parse_line(format: LineFormat, path: Path, chunk: Chunk, i: int) -> Text:
    """Line i of the chunk; InputError with file and line where it is malformed."""
    return parsed(format, path, chunk.first_line + i, chunk.line(i))


def parsed(format: LineFormat, path: Path, number: int, line: bytes) -> Text:
    """The text of line ``number``; InputError with file and line where it is malformed."""
    try:
        return format.parse(line)
    except ValueError as error:
        raise InputError.at(path, number, str(error)) from error


class Tsv:
    """``id<TAB>text``; further tabs are part of the text and become spaces."""

    def parse(self, line: bytes) -> Text:
        id, tab, text = line.decode("utf-8").partition("\t")
        if not tab:
            raise ValueError("no tab; a line is id<TAB>text" if id.strip() else "blank line; remove it")
        if not id:
            raise ValueError("no id before the tab; a line is id<TAB>text")
        return Text(id, text.replace("\t", " "))

    def scan(self, path: Path, chunk: Chunk) -> Scanned:
        characters = np.frombuffer(chunk.buffer, np.uint8)
        tabs = np.flatnonzero(characters == ord("\t"))
        tabs = np.append(tabs, len(chunk.buffer))
        tab = tabs[np.searchsorted(tabs, chunk.starts)]  # [lines], the first one of each line, or one beyond it
        malformed = np.flatnonzero((tab >= chunk.ends) | (tab == chunk.starts))
        if malformed.size:
            parse_line(self, path, chunk, int(malformed[0]))
        return Scanned(hash_spans(characters, chunk.starts, tab - chunk.starts), tab + 1 == chunk.ends)


TITLE_TEXT, TEXT = "title_text", "text"
TITLES = (TITLE_TEXT, TEXT)
"""The ways to treat a document's title: it stands before the text, or is not read."""


class JsonLines:
    """``{"_id" or "id": …, "title": …, "text" or "contents": …}``; the text is title, space, text, stripped.

    Without a title (or with null), and with ``titles="text"``, the text stands alone, as it is.
    """

    def __init__(self, titles: str = TITLE_TEXT) -> None:
        if titles not in TITLES:
            raise ValueError(f"titles must be one of {', '.join(TITLES)}, got {titles!r}")
        self.titles = titles

    def parse(self, line: bytes) -> Text:
        if not line.strip():
            raise ValueError("blank line; remove it")
        return self.text_of(json_object(line), self.titles)

    @staticmethod
    def text_of(record: dict[str, Any], titles: str = TITLE_TEXT) -> Text:
        """The text of an object; ValueError names the fault."""
        id = _id_of(record)
        text = record["text"] if "text" in record else record.get("contents")
        title = record.get("title")
        if not isinstance(text, str):
            raise ValueError(f"text (or contents) must be a string, got {_shown(text)}")
        if title is None:
            return Text(id, text)
        if not isinstance(title, str):
            raise ValueError(f"title must be a string or null, got {_shown(title)}")
        if titles == TEXT:
            return Text(id, text)
        return Text(id, f"{title} {text}".strip())

    def scan(self, path: Path, chunk: Chunk) -> Scanned:
        texts = [parsed(self, path, number, line) for number, line in enumerate(chunk.lines(), chunk.first_line)]
        empty = np.fromiter((not text.text for text in texts), np.bool_, len(texts))
        return Scanned(hash_ids([text.id for text in texts]), empty)


def json_object(line: bytes) -> dict[str, Any]:
    """The JSON object of a line; ValueError says why there is none, as where a key comes twice."""
    try:
        record = parse_json(line.decode("utf-8"))
    except JsonError as error:
        raise ValueError(f"{error} at column {error.column}") from error
    if not isinstance(record, dict):
        raise ValueError(f"a line must be a JSON object, got {_shown(record)}")
    return record


def _id_of(record: dict[str, Any]) -> str:
    id = record["_id"] if "_id" in record else record.get("id")
    if isinstance(id, int) and not isinstance(id, bool):
        id = str(id)
    if not isinstance(id, str) or not id:
        raise ValueError(f"_id (or id) must be a non-empty string, got {_shown(id)}")
    return id


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
