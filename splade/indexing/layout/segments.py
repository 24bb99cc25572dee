"""The parts of an index under construction: segments on disk, and a journal that lists the whole ones.

``.NAME.building/`` stands beside the index NAME that is being built:

- ``journal.json``: the build's identity and its whole segments in order; rewritten whole after each.
- ``00000``, ``00001``, …: a segment, a table of its documents' postings by term, their ids, and the terms
  that it added to a vocabulary.
- ``lock``: held by the one that builds.

Files that the journal does not list are leftovers, removed when the build is continued.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from splade.files import InputError, read_json, whole_folder, write_json
from splade.indexing.format.storage import FORMAT_VERSION, Table, read_table, write_table
from splade.locks import Lock

logger = logging.getLogger(__name__)

JOURNAL = "journal.json"
LOCK = "lock"


class Segment(NamedTuple):
    """A whole segment in the journal."""

    name: str
    n_docs: int
    n_postings: int
    empty_docs: int
    vocab_size: int
    largest: float  # weight, 0 without postings
    pruned: int  # postings that ``prune_top_terms`` left out of its documents before it was stored
    last_id: str | None  # None in a segment without documents
    by_mass: int = 0  # postings that ``prune_mass`` left out beside these


class Journal:
    """The building folder: opened new or where it was left, and extended by one segment at a time.

    ``identity`` tells one build from another. A folder left by another build is removed.
    InputError if somebody else is building there, in another process or in this one.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        self.identity = {"format_version": FORMAT_VERSION, **identity}
        self._lock = Lock(folder / LOCK, "Wait for it, or choose another config.index_dir")
        try:
            if not resume and (folder / JOURNAL).exists():
                logger.warning("%s: left by an interrupted build; removed, since resume is off", folder)
            self.segments = self._whole_segments() if resume else []
            self.clear_leftovers()
            self._write()
        except BaseException:
            self.release()
            raise

    def add(self, segment: Segment, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store a segment; it counts from the moment the journal lists it."""
        with whole_folder(self.folder / segment.name) as part:
            write_table(part, "segment", segment._asdict(), arrays)
        self.segments.append(segment)
        try:
            self._write()
        except BaseException:
            self.segments.pop()
            raise

    def tables(self) -> list[Table]:
        """The segments in order, memory-mapped."""
        return [read_table(folder, "segment", verify=False) for folder in self.folders()]

    def folders(self) -> list[Path]:
        """The folders of the segments, in order."""
        return [self.folder / segment.name for segment in self.segments]

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let others build there, who continue after the segments that it lists."""
        self._lock.release()

    def _write(self) -> None:
        content = self.identity | {"segments": [segment._asdict() for segment in self.segments]}
        write_json(self.folder / JOURNAL, content)

    def _whole_segments(self) -> list[Segment]:
        """The listed segments up to the first that is not as it was written; none of another build."""
        try:
            listed = read_json(self.folder / JOURNAL)
            segments = [Segment(**segment) for segment in listed.pop("segments")]
        except FileNotFoundError:
            return []
        except (InputError, AttributeError, KeyError, TypeError) as error:
            logger.warning("%s: damaged journal (%s); the index is built from the start", self.folder, error)
            return []
        if listed != self.identity:
            changed = sorted(
                key for key in listed.keys() | self.identity.keys() if listed.get(key) != self.identity.get(key)
            )
            logger.warning("%s: left by another build (other %s); removed", self.folder, ", ".join(changed))
            return []
        for number, segment in enumerate(segments):
            try:
                read_table(self.folder / segment.name, "segment", verify=True)
            except InputError as error:
                logger.warning("%s; the build goes back to what came before it", error)
                return segments[:number]
        return segments

    def clear_leftovers(self) -> None:
        """Remove all files but the journal and those that it lists."""
        kept = {segment.name for segment in self.segments} | {JOURNAL, LOCK}
        for entry in self.folder.iterdir():
            if entry.name in kept:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
