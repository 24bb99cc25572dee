"""Given sparse vectors, made by any program: files read in order, without a model.

A source is a ``.jsonl`` file (``.gz`` too) of ``{"id": …, "vector": {token or term id: weight}}``, a CSR
matrix in a ``.npz`` file, a folder of such files, or a folder of shards that ``splade.encode`` wrote. A folder is one
collection in the order of the files' names.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.text_files.ids import SeenHashes, hash_ids
from splade.data.text_files.lines import LineFile
from splade.data.vectors.shards import Encoded, shards_in
from splade.data.vectors.vector_arrays import MatrixFile
from splade.data.vectors.vector_lines import parse_lines
from splade.data.vectors.vector_parts import Part, assemble
from splade.data.vectors.vector_terms import TermIds, Terms, TokenNumbers, are_whole_numbers
from splade.files import InputError
from splade.records import SparseBatch

logger = logging.getLogger(__name__)

KEYS = ("auto", "tokens", "ids")
ENDINGS = (".jsonl", ".jsonl.gz", ".npz")
BATCH = 1000  # vectors read at a time


class VectorCollection:
    """Sparse vectors with unique string ids in a fixed order, streamed from files.

    ``keys`` says what their keys are: "tokens", or "ids" for term ids. Memory: ``BATCH`` vectors and a hash per
    id; the arrays of one ``.npz`` file. InputError with file and line (or row) where something cannot be used.
    ``encoded`` tells of shards by which model they are; their files are checked when they are read.
    """

    def __init__(self, source: str, files: Sequence[Path], keys: str, encoded: Encoded | None = None) -> None:
        self.source, self.files, self.keys, self.encoded = source, tuple(files), keys, encoded

    def batches(self, terms: Terms | None = None, start: int = 0) -> Iterator[SparseBatch]:
        """The vectors in order from number ``start``, their keys numbered by ``terms``, which grow.

        Term ids need no ``terms``; ``vocab_size`` of a batch is then one more than the largest id so far, or the
        width of the matrix. Repeated ids are noticed among the vectors that are read.
        """
        if self.keys == "tokens" and terms is None:
            raise ValueError("vectors keyed by tokens need terms to number them")
        numbering = TermIds() if terms is None or self.keys == "ids" else TokenNumbers(terms)
        seen, done = SeenHashes(), 0
        for part in self._parts(start):
            columns = numbering.columns(part)
            done += len(part.ids)
            if (suspects := seen.add(hash_ids(part.ids))).size:
                self._refuse_repeated(suspects, start + done)
            yield assemble(part, columns, max(numbering.width, 1))
        if start + done == 0:
            raise InputError(f"{self.source}: there are no vectors in it")

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The number of each id, −1 where it is unknown; reads all vectors."""
        numbers: dict[str, int] = {}
        for part in self._parts(0):
            numbers.update(zip(part.ids, range(len(numbers), len(numbers) + len(part.ids)), strict=True))
        return np.array([numbers.get(id, -1) for id in ids], np.int64)

    def first_keys(self) -> Sequence[str]:
        """The keys of the first vector that is not empty, as they are written; none where vectors are a matrix."""
        for part in self._parts(0):
            first = np.flatnonzero(part.counts)
            if first.size:
                return part.keys[: int(part.counts[first[0]])]
        return ()

    def state(self) -> dict[str, Any]:
        """Tell one state of the files from another: return paths, sizes, times of change, and how they are read."""
        files: dict[str, Any] = {}
        if self.encoded is not None:
            return {"vectors": self.source, "vector_keys": self.keys, "shards": self.encoded.state}
        for path in self.files:
            for file in (path, _ids_beside(path)):
                if file.is_file():
                    files[file.name] = [file.stat().st_size, file.stat().st_mtime_ns]
        return {"vectors": self.source, "vector_keys": self.keys, "files": files}

    def _parts(self, start: int) -> Iterator[Part]:
        """All vectors from number ``start`` in parts of at most ``BATCH``."""
        number = 0
        for path in self.files:
            if self.encoded is not None:
                self.encoded.check(path)
            parts = _matrix_parts(path, number, start) if path.suffix == ".npz" else _line_parts(path, number, start)
            for part in parts:
                number = part.number + len(part.ids)
                if part.ids:
                    yield part

    def _refuse_repeated(self, suspects: NDArray[np.uint64], stop: int) -> None:
        """Read again the ids with a suspected hash, up to number ``stop``; raise if two are the same."""
        places: dict[str, str] = {}
        for part in self._parts(0):
            for i in np.flatnonzero(np.isin(hash_ids(part.ids), suspects)).tolist():
                if part.number + i >= stop:
                    return
                id = part.ids[i]
                if id in places:
                    raise part.error(i, f"the id {id!r} is already that of {places[id]}; ids must be unique")
                places[id] = part.place(i)


def open_vectors(source: str | Path, keys: str = "auto", expected: str | None = None) -> VectorCollection:
    """The vectors that ``source`` names.

    ``keys`` is one of ``KEYS``. For JSON lines "auto" means ``expected``; if that is None, the first vector that is not
    empty decides: keys that are all whole numbers are term ids. The columns of a matrix are term ids. InputError if
    ``source`` names no vectors.
    """
    if keys not in KEYS:
        raise ValueError(f"keys must be one of {', '.join(KEYS)}, got {keys!r}")
    path = Path(source).expanduser()
    encoded = shards_in(path) if path.is_dir() else None
    if encoded is not None:
        _tell_beside_shards(path)
    files = encoded.files if encoded is not None else _files(path)
    matrices = [path for path in files if path.suffix == ".npz"]
    if keys == "auto":
        keys = "ids" if matrices or encoded is not None else expected or _keys_of_first(files)
    elif keys == "tokens" and matrices:
        raise InputError(
            f"{matrices[0]}: the columns of a matrix are term ids, not tokens; remove data.VECTOR_KEYS=tokens, or "
            "give JSON lines"
        )
    return VectorCollection(str(source), files, keys, encoded)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [entry for entry in _entries(path) if entry.name.endswith(ENDINGS)]
        _tell_others(path, found)
        if not found:
            raise InputError(f"{path}: no vectors in this folder; looked for {', '.join(f'*{end}' for end in ENDINGS)}")
        return found
    if not path.is_file():
        raise InputError(
            f"{path}: no such file or folder; expected vectors: a file that ends in {', '.join(ENDINGS)}, or a folder "
            f"of such files (relative paths start at {Path.cwd()})"
        )
    if not path.name.endswith(ENDINGS):
        raise InputError(f"{path}: unknown kind of file; vectors are read from {', '.join(ENDINGS)}")
    return [path]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)


def _tell_others(folder: Path, read: Sequence[Path]) -> None:
    """InputError for an entry whose name says that it holds vectors, a warning for others that are passed over."""
    known = {*read, *map(_ids_beside, read)}
    others = [entry for entry in _entries(folder) if entry not in known and not entry.name.startswith(".")]
    for entry in others:
        if any(end in entry.name.lower() for end in (".jsonl", ".npz")):
            raise InputError(
                f"{entry}: by its name this holds vectors, but they are read from {', '.join(ENDINGS)} only, written "
                "so; convert or rename it, or move it out of the folder"
            )
    if others:
        logger.warning(
            "%s: %d entries are passed over, as %s; vectors are read from %s",
            folder, len(others), ", ".join(repr(entry.name) for entry in others[:3]), ", ".join(ENDINGS),
        )  # fmt: skip


def _tell_beside_shards(folder: Path) -> None:
    """A warning for files of vectors that stand beside shards, which are all that is read then."""
    beside = [entry.name for entry in _entries(folder) if entry.name.endswith(ENDINGS)]
    if beside:
        logger.warning(
            "%s: only the shards in it are read; %d other files of vectors are passed over, as %r",
            folder, len(beside), beside[0],
        )  # fmt: skip


def _keys_of_first(files: Sequence[Path]) -> str:
    """ "tokens" or "ids", by the first vector that is not empty."""
    for path in files:
        for part in _line_parts(path, 0, 0):
            first = np.flatnonzero(part.counts)
            if first.size:
                return "ids" if are_whole_numbers(part.keys[: int(part.counts[first[0]])]) else "tokens"
    return "tokens"


def _line_parts(path: Path, number: int, start: int) -> Iterator[Part]:
    """The vectors of a file of JSON lines, from ``start``; ``number`` is that of the first vector of the file."""
    for chunk in LineFile(path).chunks():
        lines = chunk.starts.size
        skipped = min(max(start - number, 0), lines)
        number += skipped
        if skipped == lines:
            yield Part.empty(path, number)
        for first in range(skipped, lines, BATCH):
            last = min(first + BATCH, lines)
            yield parse_lines(path, chunk, first, last, number)
            number += last - first


def _matrix_parts(path: Path, number: int, start: int) -> Iterator[Part]:
    """The rows of a matrix, from ``start``; ``number`` is that of its first row."""
    matrix = MatrixFile(path, _ids_beside(path), number)
    first = min(max(start - number, 0), matrix.n_rows)
    yield Part.empty(path, number + first)
    for begin in range(first, matrix.n_rows, BATCH):
        yield matrix.part(begin, min(begin + BATCH, matrix.n_rows))


def _ids_beside(path: Path) -> Path:
    return path.with_suffix(".ids.txt")
