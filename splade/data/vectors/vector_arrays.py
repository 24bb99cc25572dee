"""Vectors as the rows of a CSR matrix in a ``.npz`` file, the layout that SciPy's ``save_npz`` writes.

Arrays ``indptr``, ``indices``, ``data``, ``shape`` and ``format``; ids in an array ``ids`` of the same file, or in a
text file beside it, ``NAME.ids.txt``, one id a line; without either, a row is called by its number in the collection.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.vectors.vector_parts import LARGEST_ID, Part
from splade.files import InputError, text_lines

NEEDED = ("indptr", "indices", "data", "shape")
DAMAGED = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)


class MatrixFile:
    """The rows of one ``.npz`` file; ``number`` is that of the first one in the collection.

    InputError where it is not a CSR matrix of finite weights ≥ 0, or where its ids do not fit.
    """

    def __init__(self, path: Path, ids_file: Path, number: int) -> None:
        self.path, self.number = path, number
        arrays = _load(path)
        self._refuse_other_layouts(arrays)
        self.indptr = arrays["indptr"].astype(np.int64, copy=False)  # [rows + 1]
        self.indices, self.data = arrays["indices"], arrays["data"]  # [entries]
        self.n_rows, self.width = (int(size) for size in arrays["shape"])
        self._refuse_unsound()
        self.ids = self._ids(arrays.get("ids"), ids_file)

    def part(self, start: int, stop: int) -> Part:
        """Rows ``start`` to ``stop``."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        with np.errstate(over="ignore", under="ignore"):
            weights = self.data[first:last].astype(np.float32)
        columns = self.indices[first:last].astype(np.int64)
        part = Part(
            self.path,
            start,
            self.number + start,
            self.ids[start:stop] if self.ids is not None else [str(self.number + i) for i in range(start, stop)],
            np.diff(self.indptr[start : stop + 1]),
            weights,
            columns=columns,
            width=self.width,
        )
        _refuse_entries(part, self.data[first:last], (columns < 0) | (columns >= self.width), "column")
        _refuse_entries(part, self.data[first:last], ~np.isfinite(weights) | (weights < 0), "weight")
        return part

    def _refuse_other_layouts(self, arrays: dict[str, NDArray[Any]]) -> None:
        missing = [name for name in NEEDED if name not in arrays]
        if missing:
            raise InputError(
                f"{self.path}: holds no array {missing[0]!r}; expected a CSR matrix as scipy.sparse.save_npz writes it "
                f"({', '.join(NEEDED)}, format)"
            )
        layout = arrays.get("format", np.array(b"csr")).item()
        layout = layout.decode("ascii", "replace") if isinstance(layout, bytes) else str(layout)
        if layout != "csr":
            raise InputError(
                f"{self.path}: a {layout!r} matrix; vectors are the rows of a CSR one: save matrix.tocsr()"
            )

    def _refuse_unsound(self) -> None:
        problem = None
        if self.indptr.shape != (self.n_rows + 1,) or self.indices.ndim != 1 or self.indices.shape != self.data.shape:
            problem = f"indptr, indices and data do not fit the shape ({self.n_rows}, {self.width})"
        elif self.indptr[0] != 0 or self.indptr[-1] != len(self.data) or (np.diff(self.indptr) < 0).any():
            problem = f"indptr must rise from 0 to the number of entries, {len(self.data)}"
        elif (len(self.data) and self.indices.dtype.kind not in "iu") or self.data.dtype.kind not in "fiu":
            problem = f"indices must be integers and data real, got {self.indices.dtype} and {self.data.dtype}"
        elif self.width > LARGEST_ID + 1:
            problem = f"{self.width} columns; there may be {LARGEST_ID + 1} at most"
        if problem:
            raise InputError(f"{self.path}: not a sound CSR matrix: {problem}")

    def _ids(self, given: NDArray[Any] | None, beside: Path) -> list[str] | None:
        where: Path | str = self.path
        if given is not None:
            found = _as_texts(given, self.path)
        elif beside.is_file():
            where, found = beside, [line for _, line in text_lines(beside)]
        else:
            return None
        if len(found) != self.n_rows:
            raise InputError(
                f"{where}: {len(found)} ids for the {self.n_rows} rows of {self.path.name}; give one per row"
            )
        if "" in found:
            raise (
                InputError.at(where, found.index("") + 1, "an empty id")
                if where == beside
                else InputError(f"{where}: the id of row {found.index('')} is empty")
            )
        return found


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{path}: a single array, not an .npz archive; save the matrix with save_npz of SciPy")
            return {name: archive[name] for name in archive.files if name in (*NEEDED, "format", "ids")}
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"{path}: cannot be read as an .npz archive of plain arrays ({error}); copy or save it again, ids as text"
        ) from error


def _as_texts(ids: NDArray[Any], path: Path) -> list[str]:
    if ids.ndim != 1 or ids.dtype.kind not in "USiu":
        raise InputError(f"{path}: ids must be a flat array of text or whole numbers, got {ids.dtype} {ids.shape}")
    if ids.dtype.kind == "S":
        try:
            return [id.decode("utf-8") for id in ids.tolist()]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: ids holds bytes that are not UTF-8 text ({error.reason})") from error
    return [str(id) for id in ids.tolist()]


def _refuse_entries(part: Part, data: NDArray[Any], wrong: NDArray[np.bool_], what: str) -> None:
    """InputError for the first entry that is ``wrong``."""
    if not wrong.any():
        return
    assert part.columns is not None
    place = int(wrong.argmax())
    row = int(np.searchsorted(np.cumsum(part.counts), place, side="right"))
    column = int(part.columns[place])
    if what == "column":
        raise part.error(row, f"column {column} is not in [0, {part.width})")
    raise part.error(row, f"column {column} has weight {data[place]}; weights must be finite and at least 0")
