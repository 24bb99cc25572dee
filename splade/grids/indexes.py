"""One index for each layout of a grid, made of the vectors of another index, and dropped afterwards."""

import json
import shutil
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.engines.inverted import build_index
from splade.engines.protocol import Documents
from splade.indexing import Index, InvertedIndex
from splade.indexing.format.choices import Layout
from splade.indexing.index.inverted_index import base_folder
from splade.records import SparseBatch

BYTES = 16  # held per posting while vectors are read out of an index
MIB = 1 << 20


class Indexes:
    """Indexes of the same documents with different layouts, at ``folder``; points with one layout share its index.

    ``source`` holds the documents; ``origin`` tells them from others, so that indexes of an interrupted run are kept
    and those of other documents are not. Layouts are mappings of choices of `Layout`; memory is ``memory_mb`` (MiB).
    """

    def __init__(self, source: Index, origin: Mapping[str, Any], folder: Path, memory_mb: int = 1024) -> None:
        self.source, self.folder, self.memory_mb = source, folder, memory_mb
        self._origin = dict(origin)
        self._built: dict[str, Index] = {}

    def at(self, layout: Mapping[str, Any]) -> Index:
        """The index with this layout, built on the disk where it is not there yet; the source if it has this layout."""
        identity = Layout(**layout).identity
        if _is_plain(self.source) and self.source.parts[0].segment.layout.identity == identity:
            return self.source
        key = f"{zlib.crc32(json.dumps(identity, sort_keys=True).encode()):08x}"
        if key not in self._built:
            documents = documents_of(self.source, self._origin, self.memory_mb)
            self._built[key] = build_index(documents, self.folder / key, memory_mb=self.memory_mb, layout=layout)
        return self._built[key]

    def drop(self) -> None:
        """Remove what was built; the source stays."""
        self._built.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def documents_of(index: Index, origin: Mapping[str, Any] | None = None, memory_mb: int = 1024) -> Documents:
    """The live documents of ``index`` as documents of another one, in their order, with the weights that it keeps.

    ``origin`` stands in for the metadata of ``index``.
    """
    numbers = _live(index)
    step = max(1, int(memory_mb * MIB / (BYTES * max(1.0, index.n_postings / max(index.n_docs, 1)))))

    def batches(start: int) -> Iterable[SparseBatch]:
        for first in range(start, len(numbers), step):
            docs = numbers[first : first + step]
            yield SparseBatch(tuple(index.doc_ids.take(docs)), index.vectors(docs), index.vocab_size)

    told = dict(index.metadata if origin is None else origin)
    return Documents(batches, index.vocab_size, index.vocabulary, index.fingerprint, told)


def disk_bytes(index: Index) -> int:
    """The size of the files of ``index`` on the disk, its header included."""
    if index.path is None:
        return index.n_bytes
    folders = [base_folder(index.path)] if _is_plain(index) else [index.path]
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def _is_plain(index: Index) -> bool:
    """True for an index in one part, without updates."""
    return isinstance(index, InvertedIndex) and not index.updates


def _live(index: Index) -> NDArray[np.int64]:
    """The numbers of the documents that were not deleted."""
    found = []
    for part in index.parts:
        live = np.flatnonzero(part.live) if part.live.size else np.arange(part.segment.n_docs)
        found.append(live + part.first)
    return np.concatenate(found).astype(np.int64)
