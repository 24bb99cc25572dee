"""Collections and queries: texts with ids, streamed in order or read one by one.

What may be named: a folder with ``raw.tsv``, a BEIR folder (``corpus.jsonl``, ``queries.jsonl``), a ``.tsv``
or ``.jsonl`` file, each ``.gz`` too, or an ir_datasets id (``irds:beir/scifact/test``, or the bare id).
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splade.data.formats import JsonLines, LineFormat, Tsv, parse_line, parsed
from splade.data.ids import IdTable, SeenHashes, hash_ids
from splade.data.lines import LineFile
from splade.data.qrels import read_qrels
from splade.data.sources import PREFIX, find_file, ir_dataset, split_of
from splade.files import InputError
from splade.records import Text

logger = logging.getLogger(__name__)

COLLECTION_FILES = ("raw.tsv", "raw.tsv.gz", "corpus.jsonl", "corpus.jsonl.gz")
QUERY_FILES = ("raw.tsv", "raw.tsv.gz", "queries.jsonl", "queries.jsonl.gz")
FORMATS: dict[str, type[LineFormat]] = {".tsv": Tsv, ".jsonl": JsonLines}


class Collection(ABC):
    """Texts with unique string ids in a fixed order; the number of a text is its place in it, from 0."""

    source: str
    """The file or the ir_datasets id that the texts come from."""

    @abstractmethod
    def __len__(self) -> int:
        """How many texts there are; the first call reads (and checks) all of them."""

    @abstractmethod
    def iterate(self, start: int = 0) -> Iterator[Text]:
        """The texts in order, from number ``start``."""

    @abstractmethod
    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The number of each id, −1 where it is unknown."""

    @abstractmethod
    def at(self, number: int) -> Text:
        """The text with this number; IndexError where there is none."""

    def __iter__(self) -> Iterator[Text]:
        return self.iterate()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and bool(self.find([id])[0] >= 0)

    def __getitem__(self, id: str) -> str:
        return self.texts([id])[0]

    def texts(self, ids: Sequence[str]) -> list[str]:
        """The text of each id; InputError names the first that is unknown."""
        found: list[str] = []
        for id, number in zip(ids, self.find(ids).tolist(), strict=True):
            text = self.at(number) if number >= 0 else None
            if text is None or text.id != id:
                raise InputError(f"{self.source}: no text has the id {id!r}")
            found.append(text.text)
        return found


def open_collection(source: str | Path | Collection) -> Collection:
    """The documents that ``source`` names; InputError where there is nothing of the kind, with what was looked for."""
    return _open(source, COLLECTION_FILES, "docs")


def open_queries(source: str | Path | Collection, *, split: str | None = None) -> Collection:
    """The queries that ``source`` names.

    With ``split`` (or ``FOLDER:split`` as the source) only those judged in the BEIR folder's
    ``qrels/<split>.tsv``. Raises InputError where there is nothing of the kind.
    """
    if isinstance(source, Collection):
        return source
    folder, named = split_of(source)
    split = split or named
    queries = _open(folder, QUERY_FILES, "queries")
    if split is None:
        return queries
    return Selection(queries, read_qrels(folder, split=split))


class FileCollection(Collection):
    """The texts of one file, which stay in the file.

    Streaming holds one block of lines. Counting or finding ids reads the file once and keeps 20 bytes a
    text (line offset, id hash, number): 180 MB for 8.8 million, twice that for a moment. A ``.gz`` is
    unpacked to an unnamed temporary file only for reading single texts. Whichever way it is read,
    malformed lines and repeated ids raise InputError with file and line, and empty texts are counted
    into one warning.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.source = str(path)
        self._format = _format_of(self.path)
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
        offsets, _ = self._scanned()
        if not 0 <= number < offsets.size - 1:
            raise IndexError(f"{self.source}: no text has number {number}; there are {offsets.size - 1}")
        line = self._file.read(int(offsets[number]), int(offsets[number + 1]))
        return parsed(self._format, self.path, number + 1, line)

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


class Selection(Collection):
    """Some of the texts of a collection, in its order. Memory: 8 bytes each."""

    def __init__(self, base: Collection, ids: Iterable[str]) -> None:
        wanted = list(ids)
        numbers = base.find(wanted)
        self.base, self.source = base, base.source
        self._numbers = np.unique(numbers[numbers >= 0])
        if not self._numbers.size:
            raise InputError(f"{base.source}: has none of the {len(wanted)} ids asked for, as {wanted[:1]}")
        if (missing := np.flatnonzero(numbers < 0)).size:
            logger.warning(
                "%s: %d of %d ids asked for are unknown, as %r", base.source, missing.size, len(wanted),
                wanted[missing[0]],
            )  # fmt: skip

    def __len__(self) -> int:
        return self._numbers.size

    def iterate(self, start: int = 0) -> Iterator[Text]:
        for number in self._numbers[start:].tolist():
            yield self.base.at(number)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        numbers = self.base.find(ids)
        slots = np.minimum(np.searchsorted(self._numbers, numbers), len(self) - 1)
        return np.where((self._numbers[slots] == numbers) & (numbers >= 0), slots, -1)

    def at(self, number: int) -> Text:
        if not 0 <= number < len(self):
            raise IndexError(f"{self.source}: no text has number {number}; there are {len(self)}")
        return self.base.at(int(self._numbers[number]))


def _open(source: str | Path | Collection, names: tuple[str, ...], what: str) -> Collection:
    if isinstance(source, Collection):
        return source
    kind = {"docs": "a collection", "queries": "queries"}[what]
    path = None if str(source).startswith(PREFIX) else find_file(source, names, kind.removeprefix("a "))
    if path is not None:
        return FileCollection(path)
    from splade.data.irds import IrDocuments, IrQueries

    looked_for = f"{kind}: a .tsv or .jsonl file (.gz too), a folder with {', '.join(names)}, or an ir_datasets id"
    dataset = ir_dataset(str(source), what, looked_for)
    return IrDocuments(dataset, str(source)) if what == "docs" else IrQueries(dataset, str(source))


def _format_of(path: Path) -> LineFormat:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise InputError(f"{path}: unknown kind of file; accepted are {', '.join(FORMATS)}, and each with .gz")
    return FORMATS[suffix]()
