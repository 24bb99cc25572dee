"""Training data whose lines hold the texts themselves, as FlagEmbedding and tevatron write them.

JSON lines, known by their fields: ``{"query": text, "pos": [text, …], "neg": [text, …]}``, or ``{"query_id": …,
"query": text, "positive_passages": [{"docid": …, "title": …, "text": …}, …], "negative_passages": […]}``. Either may
hold ``"pos_scores": [score, …], "neg_scores": […]``, a teacher's score for each document.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.data.examples.candidates import NO_SCORE, Candidates
from splade.data.score_files.negatives import SCORE_FILES, identifier
from splade.data.text_files.formats import JsonLines, json_object
from splade.data.text_files.lines import LineFile
from splade.data.text_files.sources import needed_file
from splade.files import InputError
from splade.records import Text

FORMS = {"pos": "neg", "positive_passages": "negative_passages"}
"""The field of the negatives by that of the positives, in either form."""
SCORES = ("pos_scores", "neg_scores")


class Group(NamedTuple):
    """A line: a query with its documents, positives first, and a teacher's scores (NaN: none is known)."""

    query: Text
    documents: tuple[Text, ...]
    n_positives: int
    scores: tuple[float, ...]


def text_groups(paths: Sequence[str | Path]) -> "TextGroups | None":
    """The groups of a file whose first line holds texts; None for files of another form.

    InputError where such a file is one of several.
    """
    file = needed_file(paths[0], SCORE_FILES, "candidates")
    if not file.name.removesuffix(".gz").endswith(".jsonl"):
        return None
    first = next(LineFile(file).chunks(), None)
    try:
        record = json_object(first.line(0)) if first is not None else {}
    except ValueError:
        return None  # the reader of scores says what is wrong with it
    if "query" not in record or not any(isinstance(record.get(field), list) for field in FORMS):
        return None
    if len(paths) > 1:
        raise InputError(f"{paths[0]}: holds texts; give one such file, with the lines of all")
    return TextGroups(file)


class TextGroups:
    """The lines of one file as candidates, and its texts as two collections, in which texts go by their numbers.

    Texts stay in the file. Memory: 16 bytes a line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = LineFile(path)
        self._offsets, self._firsts = array("q"), array("q", [0])  # of lines, and of their documents; both [n + 1]
        self._last: tuple[int, Group] | None = None
        self.queries, self.documents = _Queries(self), _Documents(self)

    def candidates(self) -> Iterator[Candidates]:
        """The candidates of every line, in order; ids are numbers of the two collections.

        To be read once, and to its end, before texts are asked for.
        """
        end = 0
        for chunk in self._file.chunks():
            self._offsets.extend((chunk.starts + chunk.offset).tolist())
            end = chunk.offset + len(chunk.buffer)
            for number, line in enumerate(chunk.lines(), chunk.first_line):
                group, first = parse(self.path, number, line), self._firsts[-1]
                self._firsts.append(first + len(group.documents))
                ids = [str(first + k) for k in range(len(group.documents))]
                positives = frozenset(ids[: group.n_positives])
                yield Candidates(str(number - 1), dict(zip(ids, group.scores, strict=True)), positives)
        self._offsets.append(end)

    def __len__(self) -> int:
        return len(self._firsts) - 1

    def group(self, line: int) -> Group:
        """The group of ``line``, from 0; IndexError where there is none. The last one read is kept."""
        if not 0 <= line < len(self):
            raise IndexError(f"{self.path}: no line {line}; there are {len(self)}")
        if self._last is None or self._last[0] != line:
            raw = self._file.read(self._offsets[line], self._offsets[line + 1])
            self._last = line, parse(self.path, line + 1, raw)
        return self._last[1]

    def n_documents(self) -> int:
        """Count the documents that all lines list together."""
        return self._firsts[-1]

    def document(self, number: int) -> Text:
        """The document with this number, counted from 0 through all lines; IndexError where there is none."""
        if not 0 <= number < self.n_documents():
            raise IndexError(f"{self.path}: no document {number}; there are {self.n_documents()}")
        line = int(np.searchsorted(np.frombuffer(self._firsts, np.int64), number, "right")) - 1
        return self.group(line).documents[number - self._firsts[line]]


def parse(path: Path, number: int, line: bytes) -> Group:
    """The group of line ``number``, from 1; InputError with file and line where it is malformed."""
    try:
        record = json_object(line)
        positive = next((field for field in FORMS if field in record), "pos")
        parts = [_documents(record, field, number) for field in (positive, FORMS[positive])]
        scores = [_scores(record, field, len(part)) for field, part in zip(SCORES, parts, strict=True)]
        query = record.get("query")
        if not isinstance(query, str):
            raise ValueError(f"query must be a text, got {_shown(query)}")
    except ValueError as error:
        raise InputError.at(path, number, str(error) if line.strip() else "blank line; remove it") from error
    id = identifier(f"{path}:{number}", record.get("query_id", number))
    return Group(Text(id, query), tuple(parts[0] + parts[1]), len(parts[0]), tuple(scores[0] + scores[1]))


def _documents(record: dict[str, Any], field: str, line: int) -> list[Text]:
    """The documents of a field; those without an id are called after the line and their place in it."""
    listed = record.get(field) or []
    if not isinstance(listed, list):
        raise ValueError(f"{field} must be a list, got {_shown(listed)}")
    sign = "+" if field in FORMS else "-"
    return [_document(entry, f"{field}[{k}]", f"{line}{sign}{k}") for k, entry in enumerate(listed)]


def _document(entry: Any, place: str, name: str) -> Text:
    if isinstance(entry, str):
        return Text(name, entry)
    if not isinstance(entry, dict):
        raise ValueError(f'{place} must be a text, or {{"docid": …, "title": …, "text": …}}, got {_shown(entry)}')
    try:
        return JsonLines.text_of(
            {"id": entry.get("docid", name), "title": entry.get("title"), "text": entry.get("text")}
        )
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _scores(record: dict[str, Any], field: str, n: int) -> list[float]:
    scores = record.get(field)
    if scores is None:
        return [NO_SCORE] * n
    if not isinstance(scores, list) or len(scores) != n:
        raise ValueError(f"{field} must hold one score for each of {n} documents, got {_shown(scores)}")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise ValueError(f"{field}: a teacher score must be a finite number, got {_shown(score)}")
    return [float(score) for score in scores]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


class _Numbered(Collection):
    """Texts of a file of groups; the ids that ``find`` knows are their numbers, those of the texts are the file's."""

    def __init__(self, groups: TextGroups) -> None:
        self.groups, self.source = groups, str(groups.path)

    def iterate(self, start: int = 0) -> Iterator[Text]:
        return (self.at(number) for number in range(start, len(self)))

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.array([int(id) for id in ids], np.int64)


class _Queries(_Numbered):
    """The queries of all lines."""

    def __len__(self) -> int:
        return len(self.groups)

    def at(self, number: int) -> Text:
        return self.groups.group(number).query


class _Documents(_Numbered):
    """The documents of all lines, positives and negatives."""

    def __len__(self) -> int:
        return self.groups.n_documents()

    def at(self, number: int) -> Text:
        return self.groups.document(number)
