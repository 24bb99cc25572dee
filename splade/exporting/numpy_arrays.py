"""Vectors for NumPy and SciPy: CSR matrices in ``.npz`` files with the ids in them, as splade reads them too."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from splade.engines.protocol import slice_of
from splade.exporting.target import Documents, FileTarget, Written
from splade.files import InputError, whole_file
from splade.kernels.sparse import concatenate
from splade.records import SparseBatch, SparseRows

PIECE = 100_000  # documents in a matrix, where the user says nothing


class NumpyArrays(FileTarget):
    """The `FileTarget` of ``docs-00000.npz`` … and ``queries.npz``.

    Each is what ``scipy.sparse.load_npz`` reads, with an array ``ids`` beside. ``shard_docs`` is the number of
    documents in a file, all of which are held in memory at a time. ``data.VECTORS_PATH`` takes the folder of them.
    """

    def __init__(self, shard_docs: int = PIECE) -> None:
        if isinstance(shard_docs, bool) or shard_docs < 1:
            raise InputError(f"export.shard_docs={shard_docs}: expected a number of documents, at least 1")
        self.shard_docs = shard_docs

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``docs-00000.npz`` and so on into ``folder``."""
        return self._write(folder / "docs", (batch for batch, _ in documents), len(words))

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries.npz`` into ``folder``."""
        held = list(queries)
        return _save(folder / "queries.npz", held, len(words))

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of all ``docs-*.npz``."""
        paths = sorted((folder / "docs").glob("docs-*.npz"))
        if not paths:
            raise InputError(f"{folder / 'docs'}: no docs-*.npz in it. Export again")
        yield from (_load(path, len(words)) for path in paths)

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.npz``."""
        yield _load(folder / "queries.npz", len(words))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        return {
            "quantization": "none: float32",
            "load": [
                "scipy.sparse.load_npz('docs/docs-00000.npz'); numpy.load('docs/docs-00000.npz')['ids']",
                "python -m splade.index data.VECTORS_PATH=docs config.index_dir=INDEX",
            ],
            "scores": "the matrix product is ours",
        }

    def _write(self, folder: Path, batches: Iterable[SparseBatch], width: int) -> Written:
        n_texts = n_empty = number = 0
        for number, held in enumerate(pieces(batches, self.shard_docs)):
            written = _save(folder / f"docs-{number:05}.npz", held, width, self.resuming)
            n_texts, n_empty = n_texts + written.n_texts, n_empty + written.n_empty
        if not n_texts:
            _save(folder / f"docs-{number:05}.npz", [], width)
        return Written(n_texts, n_empty)


def pieces(batches: Iterable[SparseBatch], size: int) -> Iterator[list[SparseBatch]]:
    """Batches of together ``size`` vectors each, but for the last."""
    held: list[SparseBatch] = []
    room = size
    for whole in batches:
        batch = whole
        while len(batch.ids) >= room:
            yield [*held, slice_of(batch, 0, room)]
            batch, held, room = slice_of(batch, room, len(batch.ids)), [], size
        if batch.ids:
            held.append(batch)
            room -= len(batch.ids)
    if held:
        yield held


def _save(path: Path, held: list[SparseBatch], width: int, resuming: bool = False) -> Written:
    ids = [id for batch in held for id in batch.ids]
    rows = concatenate([batch.rows for batch in held])
    sizes = np.diff(rows.offsets)
    if not (resuming and path.is_file()):
        with whole_file(path, "wb") as stream:
            np.savez(
                stream,
                format=np.array(b"csr"),
                shape=np.array([len(ids), width], np.int64),
                indptr=rows.offsets,
                indices=rows.columns,
                data=rows.weights,
                ids=np.array(ids, dtype=np.str_),
            )
    return Written(len(ids), int((sizes == 0).sum()))


def _load(path: Path, width: int) -> SparseBatch:
    try:
        with np.load(path, allow_pickle=False) as stored:
            rows = SparseRows(stored["indptr"], stored["indices"], stored["data"])
            ids, shape = stored["ids"], stored["shape"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a CSR matrix with ids ({error}). Export again") from error
    if shape.tolist() != [len(ids), width]:
        raise InputError(f"{path}: a matrix of {shape.tolist()} with {len(ids)} ids; expected {[len(ids), width]}")
    return SparseBatch(tuple(ids.tolist()), rows, width)
