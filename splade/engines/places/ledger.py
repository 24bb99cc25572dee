"""The folder beside another system's vectors: ids, terms, fingerprint, and how far a build has come.

``DIR/<engine>/`` holds ``state.json`` and a table of ids when a build is complete, and ``building/`` while it is not.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, read_json, write_json
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.storage import read_table, write_table
from splade.indexing.format.vocabulary import Vocabulary

KIND = "splade place"
STATE, TABLE, BUILDING, PROGRESS = "state.json", "table", "building", "progress.json"


class State(NamedTuple):
    """A complete build: the name of its place and what its vectors are."""

    place: str
    build: str  # tells this build from any other; the place keeps it too
    n_docs: int
    n_full: int  # documents with terms
    n_postings: int
    vocab_size: int
    fingerprint: str
    origin: dict[str, Any]
    identity: dict[str, Any]


class Contents(NamedTuple):
    """Ids and terms of a complete build, mapped from its files."""

    ids: DocIds
    vocabulary: Vocabulary | None
    counts: NDArray[np.int64]  # documents of each term


def read_state(folder: Path) -> State:
    """Return the complete build in ``folder``; InputError where there is none."""
    path = folder / STATE
    if not path.is_file():
        problem = "a build of it was interrupted" if (folder / BUILDING).is_dir() else "no such file"
        raise InputError(f"{path}: {problem}. Index the collection (again) with the same engine and config.index_dir")
    told = read_json(path)
    try:
        return State(**told)
    except TypeError as error:
        raise InputError(f"{path}: not the state of an engine ({error}). Index the collection again") from error


def read_contents(folder: Path, build: str) -> Contents:
    """Ids and terms of the complete build ``build`` in ``folder``; InputError where they are damaged."""
    arrays = read_table(_table(folder, build), KIND, verify=None).arrays
    return Contents(DocIds.from_arrays(arrays), Vocabulary.from_arrays(arrays), arrays["counts"])


def places_noted(folder: Path) -> list[str]:
    """The places of the complete build in ``folder`` and of an interrupted one, those that are there."""
    noted = [_progress(folder / BUILDING).get("place")]
    if (folder / STATE).is_file():
        noted.insert(0, read_state(folder).place)
    return [str(place) for place in dict.fromkeys(noted) if place]


def forget(folder: Path) -> None:
    """Remove all that is noted in ``folder``; the state first, so that nothing opens any more."""
    (folder / STATE).unlink(missing_ok=True)
    for other in [folder / BUILDING, *folder.glob(f"{TABLE}-*")]:
        shutil.rmtree(other, ignore_errors=True)


class Ledger:
    """The progress of a build: ids, terms and counts of what its place has for certain.

    ``key`` names documents and settings; what an earlier build of the same key has noted is taken up. Memory: the ids
    and terms of all documents.
    """

    def __init__(self, folder: Path, key: dict[str, Any], vocabulary: Vocabulary | None) -> None:
        self.folder, self.vocabulary = folder / BUILDING, vocabulary
        self.ids: list[str] = []
        self.counts = np.zeros(0, np.int64)
        self.n_full, self.place, self.build = 0, "", ""
        self._noted, self._terms_noted, self._key = 0, 0, key
        self._resume()

    @property
    def n_docs(self) -> int:
        """Documents that were put."""
        return len(self.ids)

    @property
    def n_noted(self) -> int:
        """Documents that a build after a kill does not put again."""
        return self._noted

    def start(self, place: str, build: str) -> None:
        """Begin anew, in an empty place."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.place, self.build = place, build
        self.ids, self.counts, self.n_full, self._noted, self._terms_noted = [], np.zeros(0, np.int64), 0, 0, 0
        self.note()

    def add(self, ids: tuple[str, ...], sizes: NDArray[Any], columns: NDArray[Any]) -> None:
        """Count documents that the place has now."""
        self.ids.extend(ids)
        self.n_full += int((sizes > 0).sum())
        found = np.bincount(columns) if columns.size else np.zeros(0, np.int64)
        if len(found) > len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(len(found) - len(self.counts), np.int64)])
        self.counts[: len(found)] += found

    def note(self) -> None:
        """Write down all that was added, so that a kill does not lose it."""
        self._append("ids.jsonl", self.ids[self._noted :])
        terms = [] if self.vocabulary is None else list(self.vocabulary)[self._terms_noted :]
        self._append("terms.jsonl", terms)
        n_terms = self._terms_noted + len(terms)
        told = {"key": self._key, "place": self.place, "build": self.build, "n_docs": len(self.ids)}
        told |= {"n_full": self.n_full, "n_terms": n_terms, "counts": self.counts.tolist()}
        write_json(self.folder / PROGRESS, told)
        self._noted, self._terms_noted = len(self.ids), n_terms

    def complete(self, folder: Path, state: State) -> None:
        """Make the build the one that ``folder`` opens."""
        arrays: dict[str, NDArray[Any]] = {**DocIds.from_strings(self.ids).arrays}
        counts = np.zeros(state.vocab_size, np.int64)
        counts[: len(self.counts)] = self.counts
        arrays |= {} if self.vocabulary is None else self.vocabulary.arrays()
        table = _table(folder, state.build)
        shutil.rmtree(table, ignore_errors=True)
        table.mkdir(parents=True)
        write_table(table, KIND, {"build": state.build}, arrays | {"counts": counts})
        write_json(folder / STATE, state._asdict())  # from here on it is the one that opens
        for other in folder.glob(f"{TABLE}-*"):
            if other != table:
                shutil.rmtree(other)
        shutil.rmtree(self.folder)

    def _resume(self) -> None:
        told = _progress(self.folder)
        if told.get("key") != self._key:
            self.place = str(told.get("place", ""))  # of another build, which its place is dropped for
            return
        self.place, self.build = told["place"], told["build"]
        self.ids = self._lines("ids.jsonl", told["n_docs"])
        terms = self._lines("terms.jsonl", told["n_terms"])
        if self.vocabulary is not None and len(self.vocabulary) == 0:
            for term in terms:
                self.vocabulary.add(term)
        self.n_full, self.counts = told["n_full"], np.array(told["counts"], np.int64)
        self._noted, self._terms_noted = len(self.ids), told["n_terms"]

    def _append(self, name: str, values: list[str]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(value) + "\n" for value in values)

    def _lines(self, name: str, n: int) -> list[str]:
        """The first ``n`` values; what was appended after the last note is cut off."""
        path, kept, size = self.folder / name, [], 0
        with path.open("rb") as stream:
            for _ in range(n):
                line = stream.readline()
                size += len(line)
                kept.append(json.loads(line))
        with path.open("r+b") as stream:
            stream.truncate(size)
        return kept


def _table(folder: Path, build: str) -> Path:
    return folder / f"{TABLE}-{build}"


def _progress(folder: Path) -> dict[str, Any]:
    try:
        return dict(read_json(folder / PROGRESS))
    except (InputError, OSError, ValueError):
        return {}
