"""Vectors on disk: documents as CSR arrays in files of their own, so that no process need hold them all."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.collection import FLATNESS, QUERY_SETS, generate
from splade.files import read_json, whole_folder, write_json

PARTS = {"indptr": np.int64, "indices": np.int32, "data": np.float32}
PART = 50_000  # documents read at a time


class Vectors:
    """Documents' vectors in a folder: ``indptr.npy``, ``indices.npy``, ``data.npy``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vocab_size = read_json(folder / "shape.json")["vocab_size"]
        self.indptr = np.load(folder / "indptr.npy")

    @property
    def n_docs(self) -> int:
        """Documents."""
        return len(self.indptr) - 1

    @property
    def n_postings(self) -> int:
        """Weights that are not zero."""
        return int(self.indptr[-1])

    def lengths(self) -> NDArray[np.float64]:
        """Postings of each term."""
        if not hasattr(self, "_lengths"):
            parts = (np.bincount(rows.indices, minlength=self.vocab_size) for _, rows in self.parts())
            self._lengths: NDArray[np.float64] = sum(parts, np.zeros(self.vocab_size))
        return self._lengths

    def mass(self, queries: sp.csr_matrix) -> NDArray[np.float64]:
        """Postings of the terms of each query."""
        found: NDArray[np.float64] = queries.sign() @ self.lengths()
        return found

    def matrix(self) -> sp.csr_matrix:
        """All of them, in memory."""
        return self.rows(0, self.n_docs)

    def mapped(self) -> sp.csr_matrix:
        """All of them, mapped: pages are read as rows are asked for."""
        return self._csr(np.load(self._file("data"), "r"), np.load(self._file("indices"), "r"), self.indptr)

    def rows(self, first: int, last: int) -> sp.csr_matrix:
        """Documents from ``first`` until before ``last``, read from the files."""
        start, stop = int(self.indptr[first]), int(self.indptr[last])
        data, indices = (self._read(name, start, stop) for name in ("data", "indices"))
        return self._csr(data, indices, self.indptr[first : last + 1] - start)

    def parts(self, size: int = PART) -> Iterator[tuple[int, sp.csr_matrix]]:
        """The number of its first document and the rows, some documents at a time."""
        for first in range(0, self.n_docs, size):
            yield first, self.rows(first, min(first + size, self.n_docs))

    def _csr(self, data: Any, indices: Any, indptr: Any) -> sp.csr_matrix:
        return sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, self.vocab_size))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _read(self, name: str, start: int, stop: int) -> NDArray[Any]:
        mapped = np.load(self._file(name), "r")
        offset = mapped.offset + start * mapped.itemsize
        return np.fromfile(self._file(name), mapped.dtype, stop - start, offset=offset)


class Collection(NamedTuple):
    """Documents and queries; indexes and results of a collection live in its folder."""

    folder: Path
    vectors: Vectors
    queries: dict[str, sp.csr_matrix]
    calibration: sp.csr_matrix | None = None  # queries to calibrate with
    calibrated: str = "documents as queries"  # or the name and number of these


def opened(folder: Path) -> Collection:
    """The collection that stands in ``folder``."""
    queries = {path.stem: sp.load_npz(path).tocsr() for path in (folder / "queries").glob("*.npz")}
    order = read_json(folder / "documents" / "shape.json")["queries"]
    return Collection(folder, Vectors(folder / "documents"), {name: queries[name] for name in order})


def synthetic(
    root: Path, n_docs: int, seed: int = 7, flatness: float | Mapping[str, float] | None = FLATNESS
) -> Collection:
    """The synthetic collection of that size under ``root``, made there unless it stands; its name has ``flatness``."""
    shares = flatness.values() if isinstance(flatness, Mapping) else () if flatness is None else (flatness,)
    told = "-".join(f"{share:g}" for share in shares)
    folder = root / (f"synthetic-{n_docs}-{seed}" + (f"-flat{told}" if told else ""))
    if not folder.exists():
        with whole_folder(folder) as made:
            (made / "documents").mkdir()
            drawn = generate(n_docs, lambda name, n, dtype: _room(made, name, n, dtype), seed=seed, flatness=flatness)
            _finish(made, drawn.documents.shape[1], {name: drawn.queries[name] for name in QUERY_SETS})
    return opened(folder)


def given(root: Path, files: list[Path], *, calibration: Path | None = None, shuffled: bool = False) -> Collection:
    """A collection under ``root`` of CSR matrices that `scipy.sparse.save_npz` wrote: documents, then query sets.

    It is named after the file of documents and the folder of that. ``calibration`` is one more matrix of queries.
    SystemExit where another collection of that name is there.
    """
    documents_file, *query_files = (file.resolve() for file in files)
    folder = root / ("-".join([documents_file.parent.name, documents_file.stem]) + "-shuffled" * shuffled)
    source = {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in (documents_file, *query_files)}
    if not folder.exists():
        documents = sp.load_npz(documents_file).tocsr()
        documents.sort_indices()
        if shuffled:
            documents = documents[np.random.default_rng(0).permutation(documents.shape[0])]
        with whole_folder(folder) as made:
            (made / "documents").mkdir()
            for name, dtype in PARTS.items():
                array = getattr(documents, name)
                _room(made, name, len(array), dtype)[:] = array
            _finish(made, documents.shape[1], {file.stem: sp.load_npz(file).tocsr() for file in query_files}, source)
    if read_json(folder / "documents" / "shape.json").get("source", source) != source:
        raise SystemExit(f"{folder} was made of other files, or of {documents_file.name} as it was before; remove it")
    collection = opened(folder)
    if calibration is None:
        return collection
    sample = sp.load_npz(calibration).tocsr().astype(np.float32)
    return collection._replace(calibration=sample, calibrated=f"{sample.shape[0]} queries of {calibration.name}")


def _room(folder: Path, name: str, length: int, dtype: Any) -> NDArray[Any]:
    path = folder / "documents" / f"{name}.npy"
    mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))
    return mapped


def _finish(
    folder: Path, vocab_size: int, queries: dict[str, sp.csr_matrix], source: dict[str, list[int]] | None = None
) -> None:
    (folder / "queries").mkdir()
    for name, matrix in queries.items():
        matrix.sort_indices()
        sp.save_npz(folder / "queries" / f"{name}.npz", matrix.astype(np.float32), compressed=False)
    write_json(
        folder / "documents" / "shape.json",
        {"vocab_size": vocab_size, "queries": list(queries), "source": source or {}},
    )
