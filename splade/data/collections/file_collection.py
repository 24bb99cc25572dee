"""Collections in files of lines; only the ids and the places of the lines are kept."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.data.text_files.formats import TITLE_TEXT, JsonLines, LineFormat, Tsv, json_object, parse_line, parsed
from splade.data.text_files.ids import IdTable, SeenHashes, hash_ids
from splade.data.text_files.lines import LineFile
from splade.files import InputError
from splade.records import Text

logger = logging.getLogger(__name__)

FORMATS: dict[str, type[LineFormat]] = {".tsv": Tsv, ".jsonl": JsonLines}


class FileCollection(Collection):
    """The texts of one file, which stay in the file.

    Streaming holds one block of lines. Counting or finding ids reads the file once and keeps 20 bytes a
    text (line offset, id hash, number): 180 MB for 8.8 million, twice that for a moment. A ``.gz`` is
    unpacked to an unnamed temporary file only for reading single texts. Whichever way it is read,
    malformed lines and repeated ids raise InputError with file and line, and empty texts are counted
    into one warning. ``titles`` is the way of :class:`splade.data.text_files.formats.JsonLines` with titles.
    """

    def __init__(self, path: str | Path, titles: str = TITLE_TEXT) -> None:
        self.path = Path(path)
        self.source = str(path)
        self._format = _format_of(self.path, titles)
        self.titles = self._format.titles if isinstance(self._format, JsonLines) else TITLE_TEXT
        self._file = LineFile(self.path)
        self._offsets: NDArray[np.int64] | None = None  # [texts + 1], bytes of the unpacked file
        self._table: IdTable | None = None
        self._warned = False

    def __len__(self) -> int:
        return self._scanned()[0].size - 1

    def iterate(self, start: int = 0) -> Iterator[Text]:
        if start < 0:
            raise ValueError(f"start must be at least 0, got {start}")
        if start == 0 and self._offsets is None:
            return self._check_while_reading()
        return self._read_on(start)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return self._scanned()[1].find(ids, lambda number: self.at(number).id)

    def at(self, number: int) -> Text:
        return parsed(self._format, self.path, number + 1, self._line(number))

    def title_of(self, number: int) -> str:
        if not isinstance(self._format, JsonLines) or self.titles != TITLE_TEXT:
            return ""
        return (json_object(self._line(number)).get("title") or "").lstrip()

    def _line(self, number: int) -> bytes:
        offsets, _ = self._scanned()
        if not 0 <= number < offsets.size - 1:
            raise IndexError(f"{self.source}: no text has number {number}; there are {offsets.size - 1}")
        return self._file.read(int(offsets[number]), int(offsets[number + 1]))

    def _scanned(self) -> tuple[NDArray[np.int64], IdTable]:
        if self._offsets is None or self._table is None:
            self._offsets, self._table = self._scan()
        return self._offsets, self._table

    def _scan(self) -> tuple[NDArray[np.int64], IdTable]:
        """Read all lines once, check them, and note where they begin and what ids they have."""
        offsets, hashes, empty = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        end = 0
        for chunk in self._file.chunks():
            found = self._format.scan(self.path, chunk)
            offsets.append(chunk.starts + chunk.offset)
            hashes.append(found.hashes)
            empty.append(np.flatnonzero(found.empty) + chunk.first_line)
            end = chunk.offset + len(chunk.buffer)
        table = IdTable(np.concatenate(hashes))
        self._refuse_nothing(len(table))
        if (suspects := table.repeated()).size:
            self._refuse_repeated(suspects, len(table))
        self._warn_of_empty(np.concatenate(empty), len(table))
        return np.append(np.concatenate(offsets), end), table

    def _check_while_reading(self) -> Iterator[Text]:
        seen, empty, n_texts = SeenHashes(), [np.zeros(0, np.int64)], 0
        for chunk in self._file.chunks():
            texts = [
                parsed(self._format, self.path, number, line)
                for number, line in enumerate(chunk.lines(), chunk.first_line)
            ]
            n_texts += len(texts)
            if (suspects := seen.add(hash_ids([text.id for text in texts]))).size:
                self._refuse_repeated(suspects, n_texts)
            empty.append(np.flatnonzero([not text.text for text in texts]) + chunk.first_line)
            yield from texts
        self._refuse_nothing(n_texts)
        self._warn_of_empty(np.concatenate(empty), n_texts)

    def _read_on(self, start: int) -> Iterator[Text]:
        offsets, _ = self._scanned()
        if start >= offsets.size - 1:
            return
        for chunk in self._file.chunks(int(offsets[start]), start + 1):
            for number, line in enumerate(chunk.lines(), chunk.first_line):
                yield parsed(self._format, self.path, number, line)

    def _refuse_repeated(self, suspects: NDArray[np.uint64], last_line: int) -> None:
        """Read again the ids with a suspected hash, up to ``last_line``; raise if two are the same."""
        first_lines: dict[str, int] = {}
        for chunk in self._file.chunks():
            hashes = self._format.scan(self.path, chunk.head(last_line - chunk.first_line + 1)).hashes
            for i in np.flatnonzero(np.isin(hashes, suspects)).tolist():
                id, line = parse_line(self._format, self.path, chunk, i).id, chunk.first_line + i
                if id in first_lines:
                    raise InputError.at(
                        self.path, line, f"the id {id!r} is already that of line {first_lines[id]}; ids must be unique"
                    )
                first_lines[id] = line
            if chunk.first_line + chunk.starts.size > last_line:
                return

    def _refuse_nothing(self, n_texts: int) -> None:
        if n_texts == 0:
            raise InputError(f"{self.path}: the file holds no texts")

    def _warn_of_empty(self, lines: NDArray[np.int64], n_texts: int) -> None:
        if lines.size and not self._warned:
            logger.warning(
                "%s:%d: empty text, the first of %d among %d; they are kept", self.path, lines[0], lines.size, n_texts
            )
            self._warned = True


def _format_of(path: Path, titles: str) -> LineFormat:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise InputError(f"{path}: unknown kind of file; accepted are {', '.join(FORMATS)}, and each with .gz")
    return JsonLines(titles) if FORMATS[suffix] is JsonLines else FORMATS[suffix]()
