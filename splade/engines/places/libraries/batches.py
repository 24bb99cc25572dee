"""A store for libraries that make an index of files in one go: vectors are kept in files until the last one is there.

A place is a folder: ``about.json``, ``parts/`` while documents come in, and ``index/``, which is whole or absent.
"""

import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.store import Searching
from splade.files import InputError, read_json, sync_tree, whole_file, whole_folder, write_json
from splade.kernels.sparse import take_rows
from splade.records import SparseBatch, SparseRows

ABOUT, PARTS, INDEX, FACTS = "about.json", "parts", "index", "facts.json"


class Part(NamedTuple):
    """Some documents with terms."""

    numbers: NDArray[np.int64]  # [n], increasing
    rows: SparseRows


class Parts:
    """The documents of a place, in order, read a file at a time; as often as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.npz"))
        self.n_docs = sum(map(_size, self.paths))
        self.n_postings, self.n_terms, self.largest, self.whole = 0, 0, 0.0, True
        for part in self:
            columns, weights = part.rows.columns, part.rows.weights
            self.n_postings += len(weights)
            self.n_terms = max(self.n_terms, int(columns.max(initial=-1)) + 1)
            self.largest = max(self.largest, float(weights.max(initial=0)))
            self.whole = self.whole and are_whole(weights)

    def __iter__(self) -> Iterator[Part]:
        for path in self.paths:
            with np.load(path) as arrays:
                rows = SparseRows(arrays["offsets"], arrays["columns"], arrays["weights"])
                yield Part(arrays["numbers"], rows)


def are_whole(weights: NDArray[Any]) -> bool:
    """True where all weights are whole numbers."""
    return bool((weights == np.rint(weights)).all())


class BatchStore:
    """The part of a `splade.engines.places.store.Store` that libraries of this kind share; `make` and `opened` differ.

    A batch becomes a file, named by its first number, so that the same batch again is the same file. Disk while
    documents come in: 8 bytes for each posting, beside what `make` writes.
    """

    name: ClassVar[str]
    at_once: int = 1 << 14

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next: dict[str, int] = {}  # the number that the next batch of a place begins with, if all goes on

    def make(self, parts: Parts, folder: Path) -> dict[str, Any]:
        """Write the library's index of ``parts`` into ``folder``; returns what `opened` has to know, as JSON values."""
        raise NotImplementedError

    def opened(self, folder: Path, facts: dict[str, Any]) -> Searching:
        """Open the index in ``folder``; ``facts`` is what `make` gave, and ``bytes``."""
        raise NotImplementedError

    def library(self) -> Any:
        """Return the library; InputError that says how to get it where it is missing."""
        raise NotImplementedError

    def refuse(self, batch: SparseBatch) -> None:
        """InputError for weights that the library cannot hold."""

    def create(self, place: str, about: dict[str, Any]) -> None:
        """Make an empty place; refused without the library, before a document is encoded for it."""
        self.library()
        self.drop(place)
        (self.folder / place / PARTS).mkdir(parents=True)
        write_json(self.folder / place / ABOUT, about)

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """Write the file of a batch; those of later documents, of a build that was killed, go."""
        self.library()
        self.refuse(batch)
        folder = self.folder / place / PARTS
        if self._next.get(place) != first:
            for path in folder.glob("*.npz"):
                if int(path.name.partition("-")[0]) >= first:
                    path.unlink()
        self._next[place] = first + len(batch.ids)
        full = np.flatnonzero(np.diff(batch.rows.offsets))
        if not len(full):
            return
        rows = take_rows(batch.rows, full)
        with whole_file(folder / f"{first:012d}-{len(full)}.npz", "wb") as stream:
            np.savez(stream, numbers=full + first, offsets=rows.offsets, columns=rows.columns, weights=rows.weights)

    def finish(self, place: str) -> None:
        """Make the index, unless a build that was killed has made it, and remove the files."""
        folder = self.folder / place
        if not (folder / INDEX).is_dir():
            for left in folder.glob(".i*"):  # of a build that was killed here
                shutil.rmtree(left, ignore_errors=True)
            parts = Parts(folder / PARTS)
            with whole_folder(folder / INDEX) as made:
                facts = self.make(parts, made) | {"n_docs": parts.n_docs, "n_terms": parts.n_terms}
                size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
                write_json(made / FACTS, facts | {"bytes": size})
                sync_tree(made)  # before the files go
        shutil.rmtree(folder / PARTS, ignore_errors=True)

    def count(self, place: str) -> int | None:
        """The number of documents in the index, or else in the files."""
        folder = self.folder / place
        if (folder / INDEX).is_dir():
            return int(read_json(folder / INDEX / FACTS)["n_docs"])
        return sum(map(_size, (folder / PARTS).glob("*.npz"))) if (folder / ABOUT).is_file() else None

    def about(self, place: str) -> dict[str, Any] | None:
        """Return what `create` was given."""
        path = self.folder / place / ABOUT
        return dict(read_json(path)) if path.is_file() else None

    def drop(self, place: str) -> None:
        """Remove the folder of a place."""
        self._next.pop(place, None)
        shutil.rmtree(self.folder / place, ignore_errors=True)

    def places(self) -> list[str]:
        """The names of the folders that are places."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{ABOUT}"))

    def open(self, place: str) -> Searching:
        """Open the index of a finished place; InputError where there is none."""
        index = self.folder / place / INDEX
        if not index.is_dir():
            raise InputError(f"engine={self.name}: {index} is not there. Index the collection again")
        return self.opened(index, read_json(index / FACTS))


def counted(offsets: NDArray[np.int64], *columns: NDArray[Any]) -> NDArray[np.uint32]:
    """Rows as four-byte numbers: of each its length, then its entries in each of ``columns``, one after the other."""
    lengths, many = np.diff(offsets), len(columns)
    written = np.empty(len(lengths) + many * int(offsets[-1]), np.uint32)
    heads = np.arange(len(lengths)) + many * offsets[:-1].astype(np.int64)
    written[heads] = lengths
    row_of = np.repeat(np.arange(len(lengths)), lengths)
    places = heads[row_of] + 1 + np.arange(int(offsets[-1])) - offsets[:-1][row_of]
    for turn, column in enumerate(columns):
        written[places + turn * lengths[row_of]] = column.view(np.uint32) if column.itemsize == 4 else column
    return written


def scratch(folder: Path) -> Any:
    """A folder beside ``folder`` for a library's input, gone when the block ends."""
    return tempfile.TemporaryDirectory(prefix=".input-", dir=folder.parent)


@contextmanager
def output_into(path: Path) -> Iterator[None]:
    """Standard output and errors of compiled code go into a file: a command's output is its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        with path.open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield
    finally:
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)


def installed(module: str, engine: str, command: str) -> Any:
    """The package ``module``; InputError that says how to install it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"engine={engine} needs the package {module} ({error}). Install it: {command}") from error


def version_of(distribution: str) -> str:
    """The installed version of a distribution; "" where it has none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _size(path: Path) -> int:
    return int(path.stem.partition("-")[2])
