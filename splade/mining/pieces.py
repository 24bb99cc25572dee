"""{query: {document: score}} files that are made over hours: piece by piece, so that a kill costs one piece.

While ``negatives.jsonl.gz`` is made, a hidden folder beside it, ``.negatives.jsonl.gz.pieces``, holds a description
and a file for each piece, written whole: a line with the number of queries, the counts and the checksum of the rest,
then the lines of the result. In the end they become one file, ``negatives.stats.json`` takes the description, and
the folder is removed.
"""

import json
import logging
import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from splade.data.score_files.negatives import score_line
from splade.data.vectors.shards import Stored, differences
from splade.files import InputError, naming, read_json, whole_file, write_json
from splade.locks import Lock

logger = logging.getLogger(__name__)

ABOUT, LOCK = "about.json", "lock"
Entry = tuple[str, Mapping[str, float]]


class Pieces:
    """Takes the results of queries in order and makes the scores file ``path`` of them.

    ``about`` says what they are (JSON values). ``n_queries`` queries were taken already, all of them where
    ``finished``. Unfinished pieces about something else are begun anew, with a warning.

    InputError where there is a file at ``path`` that is about something else or was changed, and while another
    process writes it.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        self.path, self.about = Path(path), json.loads(json.dumps(about))
        self.folder = self.path.with_name(f".{self.path.name}.pieces")
        self.stats_path = self.path.with_name(self.path.name.split(".jsonl")[0] + ".stats.json")
        self.n_queries, self.counts = 0, Counter[str]()
        self._pieces: list[Path] = []
        self.finished = self._is_there()
        if self.finished:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        with naming(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.folder / LOCK, "Wait for it, or name another config.out_dir", "file")
        self._continue()

    @property
    def statistics(self) -> dict[str, Any]:
        """The statistics that were written beside a finished file."""
        stored: dict[str, Any] = read_json(self.stats_path)
        return stored["statistics"]

    def add(self, n_queries: int, entries: Iterable[Entry], counts: Mapping[str, int]) -> None:
        """Store the results of the next ``n_queries`` queries as one piece, whole or absent."""
        lines = "".join(score_line(query, scores) for query, scores in entries)
        head = {"queries": n_queries, "counts": dict(counts), "crc32": zlib.crc32(lines.encode("utf-8"))}
        path = self._piece()
        with whole_file(path) as stream:
            stream.write(json.dumps(head) + "\n" + lines)
        self._took(path, head)

    def entries(self) -> Iterator[Entry]:
        """Yield the queries stored so far with their scores, in order."""
        for piece in self._pieces:
            for line in _read(piece)[1].split("\n")[:-1]:  # ids may hold other line separators
                record = json.loads(line)
                yield record["query_id"], record["scores"]

    def discard(self) -> None:
        """Remove the pieces: what they were for has been written."""
        shutil.rmtree(self.folder)
        self._lock.release()

    def finish(self, statistics: Mapping[str, Any]) -> None:
        """Make one file of the pieces, with ``statistics`` beside it."""
        with whole_file(self.path) as stream:
            for piece in self._pieces:
                stream.write(_read(piece)[1])
        stored = {"statistics": dict(statistics), "about": self.about, "file": Stored.of(self.path)._asdict()}
        write_json(self.stats_path, stored)
        self.discard()
        self.finished = True

    def _is_there(self) -> bool:
        """True where the file is there and whole; InputError where it is another and no pieces of this one are left."""
        if not self.path.is_file():
            return False
        other = f"Name another config.out_dir, or remove {self.path}"
        stored = read_json(self.stats_path) if self.stats_path.is_file() else {}
        if self._left_by_the_same():
            return bool(stored.get("about") == self.about and stored.get("file") == Stored.of(self.path)._asdict())
        if not stored:
            raise InputError(f"{self.path}: there is no {self.stats_path.name} to say what this file is. {other}")
        if differing := differences(stored.get("about", {}), self.about):
            raise InputError(f"{self.path}: made with other {differing}. {other}")
        if stored.get("file") != Stored.of(self.path)._asdict():
            raise InputError(f"{self.path}: changed after it was written. {other}")
        return True

    def _continue(self) -> None:
        """Find the pieces of an earlier process, and clear away those that cannot be used."""
        if self._left_by_the_same(warn=True):
            while (path := self._piece()).is_file():
                try:
                    self._took(path, _read(path)[0])
                except InputError as error:
                    logger.warning("%s; going back to what came before it", error)
                    break
        for path in self.folder.iterdir():
            if path not in self._pieces and path.name != LOCK:
                path.unlink()
        write_json(self.folder / ABOUT, self.about)
        if self.n_queries:
            logger.info("%s: continuing after %d queries", self.path, self.n_queries)

    def _left_by_the_same(self, warn: bool = False) -> bool:
        try:
            differing = differences(read_json(self.folder / ABOUT), self.about)
        except (InputError, FileNotFoundError):
            return False
        if differing and warn:
            logger.warning("%s: left by a run with other %s; begun anew", self.folder, differing)
        return not differing

    def _piece(self) -> Path:
        return self.folder / f"{self.n_queries:010}.jsonl"

    def _took(self, path: Path, head: Mapping[str, Any]) -> None:
        self._pieces.append(path)
        self.n_queries += head["queries"]
        self.counts.update(head["counts"])


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Head and lines of a piece; InputError where it is damaged."""
    try:
        first, lines = path.read_bytes().decode("utf-8").split("\n", 1)
        head = json.loads(first)
        if head["queries"] > 0 and head["counts"] is not None and head["crc32"] == zlib.crc32(lines.encode("utf-8")):
            return head, lines
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: this piece is damaged")
