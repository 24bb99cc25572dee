"""Writing one shard of a collection's vectors, so that it can be interrupted in any way and continued.

While a shard is written it is a hidden folder beside its place, ``.shard-00002-of-00008.encoding``. A piece is one
batch, written whole. Pieces count if each starts at the end of the one before it. In the end the folder is
completed and moved to its place.
"""

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from splade.data.vectors.shards import (
    ABOUT,
    TERMS,
    Manifest,
    Shard,
    Stored,
    check_file,
    differences,
    read_manifest,
    write_manifest,
)
from splade.data.vectors.vector_arrays import MatrixFile
from splade.files import InputError, naming, read_json, replace_folder, whole_file, write_json
from splade.locks import Lock
from splade.records import SparseBatch

logger = logging.getLogger(__name__)

LOCK = "lock"


class ShardWriter:
    """Takes the vectors of ``shard`` in order and writes its folder into ``folder``.

    ``about`` says what the vectors are: model, collection, settings (JSON values); ``terms`` what their columns are
    called. ``n_docs`` documents are stored already: all of them where ``finished``. An unfinished shard that is about
    something else is begun anew, with a warning.

    InputError where the finished shard is about something else, and while another process writes this one.
    """

    def __init__(self, folder: Path, shard: Shard, about: Mapping[str, Any], terms: Sequence[str]) -> None:
        self.shard, self.about, self.terms = shard, dict(about), terms
        self.path, self.part = folder / shard.folder, folder / f".{shard.folder}.encoding"
        self.n_docs = 0
        self._pieces: list[str] = []
        self.finished = self.path.is_dir() and self._whole()
        if self.finished:
            self.n_docs = read_manifest(self.path).n_docs
            (self.path / LOCK).unlink(missing_ok=True)  # of a process killed just after it had moved the shard
            return
        with naming(self.part):
            self.part.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self.part / LOCK, "Wait for it, or encode another one (config.shard)", "shard")
        self._continue()

    def add(self, batch: SparseBatch) -> None:
        """Store the next documents as one piece; it counts from the moment its file is there."""
        name = _piece(self.n_docs)
        octets = _packed(batch)
        with whole_file(self.part / name, "wb") as stream:
            stream.write(octets)
        self._pieces.append(name)
        self.n_docs += len(batch.ids)

    def finish(self) -> None:
        """Complete the shard and move it to its place."""
        write_json(self.part / TERMS, list(self.terms))
        files = {name: Stored.of(self.part / name) for name in (ABOUT, TERMS, *self._pieces)}
        write_manifest(self.part, Manifest(self.shard, self.n_docs, files))
        replace_folder(self.part, self.path)
        (self.path / LOCK).unlink()
        self._lock.release()
        self.finished = True

    def _whole(self) -> bool:
        """True where the shard holds these vectors, False where it is damaged; InputError where it holds others."""
        try:
            for name, written in read_manifest(self.path).files.items():
                check_file(self.path / name, written)
            differing = differences(read_json(self.path / ABOUT), self.about)
        except (InputError, FileNotFoundError) as error:
            logger.warning("%s; it is encoded again", error)
            return False
        if differing:
            raise InputError(
                f"{self.path}: holds vectors of another encoding (other {differing}). Name another config.out_dir, "
                "or remove this folder"
            )
        return True

    def _continue(self) -> None:
        """Find the pieces of an earlier process, and clear away those that cannot be used."""
        if self._left_by_the_same():
            while (path := self.part / _piece(self.n_docs)).is_file():
                try:
                    n_docs = MatrixFile(path, path, 0).n_rows
                except InputError as error:
                    logger.warning("%s; encoding goes back to what came before it", error)
                    break
                self._pieces.append(path.name)
                self.n_docs += n_docs
        for path in self.part.iterdir():
            if path.name not in (*self._pieces, LOCK):
                path.unlink()
        write_json(self.part / ABOUT, self.about)

    def _left_by_the_same(self) -> bool:
        try:
            differing = differences(read_json(self.part / ABOUT), self.about)
        except (InputError, FileNotFoundError):
            return False
        if differing:
            logger.warning("%s: left by another encoding (other %s); removed", self.part, differing)
        return not differing


def _piece(first: int) -> str:
    return f"{first:010}.npz"


def _packed(batch: SparseBatch) -> bytes:
    """The bytes of an ``.npz`` file: always the same ones of the same batch."""
    ids = np.array([id.encode("utf-8") for id in batch.ids], np.bytes_)
    for id, kept in zip(batch.ids, ids.tolist(), strict=True):
        if kept != id.encode("utf-8"):
            raise InputError(f"the document id {id!r} ends in a zero byte, which cannot be stored; rename the document")
    octets = io.BytesIO()
    offsets, columns, weights = batch.rows
    np.savez(
        octets,
        indptr=offsets,
        indices=columns,
        data=weights,
        shape=np.array([len(batch.ids), batch.vocab_size]),
        format=np.array(b"csr"),
        ids=ids,
    )
    return octets.getvalue()
