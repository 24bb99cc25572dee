"""Dense vectors by document number: a matrix on disk, with string ids and the fingerprint of its encoder.

Vectors are written as they come, so that memory does not grow with their number, and mapped where they are read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, standing, whole_folder
from splade.indexing.format.doc_ids import DocIds, joined, pack, refuse_too_many
from splade.indexing.format.storage import (
    HEADER,
    CorruptIndexError,
    TableWriter,
    disk_errors,
    octets_of,
    read_steady,
    read_table,
    write_header,
)
from splade.kernels.ids import hash_ids
from splade.kernels.sparse import to_dense
from splade.locks import Lock
from splade.records import SparseBatch

FOLDER, KIND = "dense_index", "dense index"
DTYPES = ("float32", "float16")


class DenseBatch(NamedTuple):
    """Vectors [n, D], float32, and the ids of the texts that they are of."""

    ids: tuple[str, ...]
    matrix: NDArray[np.float32]


def in_matrix(batch: SparseBatch) -> DenseBatch:
    """The vectors of ``batch`` as rows of a matrix."""
    return DenseBatch(batch.ids, to_dense(batch.rows, batch.vocab_size))


class DenseIndex:
    """Dense vectors, immutable: ``vectors`` [n_docs, D] float32 or float16, document number = row.

    ``fingerprint`` names the encoder ("" if unknown), ``metadata`` the encoded collection.
    """

    def __init__(
        self,
        vectors: NDArray[Any],
        doc_ids: DocIds,
        *,
        fingerprint: str = "",
        metadata: Mapping[str, Any] | None = None,
        path: Path | None = None,
    ) -> None:
        if len(vectors) != len(doc_ids):
            raise InputError(f"{len(doc_ids)} document ids for {len(vectors)} vectors: there must be one id per vector")
        self.vectors, self.doc_ids, self.path = vectors, doc_ids, path
        self.fingerprint, self.metadata = fingerprint, dict(metadata or {})

    @property
    def n_docs(self) -> int:
        """The number of documents."""
        return len(self.vectors)

    @property
    def width(self) -> int:
        """The numbers D of a vector."""
        return int(self.vectors.shape[1])

    @classmethod
    def from_matrix(cls, matrix: NDArray[Any], doc_ids: Sequence[str], **about: Any) -> "DenseIndex":
        """The index of a matrix [n_docs, D], in memory; ValueError where a number of it is not finite."""
        refuse_not_finite(matrix)
        return cls(matrix, DocIds.from_strings(doc_ids), **about)

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool | None = None) -> "DenseIndex":
        """The index that `write_dense` wrote to ``folder``, memory-mapped; InputError where it is not whole."""
        path = Path(folder) / FOLDER
        return read_steady(lambda: octets_of(standing(path) / HEADER), lambda: cls._read(standing(path), verify))

    @classmethod
    def _read(cls, path: Path, verify: bool | None) -> "DenseIndex":
        header, arrays = read_table(path, KIND, verify=verify)
        shape = header["n_docs"], header["width"]
        if arrays["vectors"].size != shape[0] * shape[1] or len(arrays["id_order"]) != shape[0]:
            raise CorruptIndexError(f"{path}: vectors, ids and header do not fit each other. Build the index again")
        return cls(
            arrays["vectors"].reshape(shape),
            DocIds.from_arrays(arrays),
            fingerprint=header["fingerprint"],
            metadata=header["metadata"],
            path=path,
        )


def write_dense(
    folder: str | Path,
    batches: Iterable[DenseBatch],
    width: int,
    *,
    dtype: str = "float32",
    fingerprint: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> DenseIndex:
    """The index of ``batches`` of vectors of ``width`` numbers in ``folder``, whole or not at all.

    ``dtype`` is how they are kept. InputError for ids that repeat and while another
    writer is at work, ValueError for numbers that are not finite or,
    in float16, too large.
    """
    if dtype not in DTYPES:
        raise ValueError(f"config.index_weights={dtype}: dense vectors are kept in {' or '.join(DTYPES)}")
    path = Path(folder) / FOLDER
    advice = "Make room, or choose another config.index_dir"
    with disk_errors(path, advice), sole_writer(Path(folder)), whole_folder(path) as temporary:
        with TableWriter(temporary) as table:
            table.write("vectors", np.empty(0, dtype))
            ids = _stored(table, batches, dtype)
            for name, array in ids.arrays.items():
                table.write(name, array)
        header = {"n_docs": len(ids), "width": width, "fingerprint": fingerprint}
        header["metadata"] = json.loads(json.dumps(dict(metadata or {})))
        if table.entries["vectors"]["length"] != len(ids) * width:
            raise ValueError(f"{path}: vectors of {width} numbers were expected")
        write_header(temporary, KIND, header, table.entries)
    return DenseIndex.open(folder, verify=False)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep other writers of the dense index in ``folder`` away; InputError where one is at work."""
    file = folder / f".{FOLDER}.lock"
    lock = Lock(file, "Wait for it, or choose another config.index_dir")
    try:
        yield
    finally:
        if lock.is_there:
            file.unlink()
        lock.release()


def refuse_not_finite(matrix: NDArray[Any]) -> None:
    """ValueError where a number of ``matrix`` is NaN or infinite."""
    if not np.isfinite(matrix).all():
        raise ValueError(
            "vectors hold numbers that are NaN or infinite (in float16: larger than 65504; then set "
            "config.index_weights=float32)"
        )


def _stored(table: TableWriter, batches: Iterable[DenseBatch], dtype: str) -> DocIds:
    def kept() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        for ids, matrix in batches:
            with np.errstate(over="ignore"):  # said below
                vectors = matrix.astype(dtype)
            refuse_not_finite(vectors)
            table.write("vectors", vectors.reshape(-1))
            yield pack(ids)

    text, offsets = joined(list(kept()))
    refuse_too_many(len(offsets) - 1)
    return DocIds.from_packed(text, offsets, hash_ids(text, offsets))
