"""Building an index of any size in bounded memory, so that an interrupted build can be continued."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, replace_folder
from splade.indexing.blocked import Layout, write_blocks
from splade.indexing.doc_ids import DocIds, pack, refuse_too_many
from splade.indexing.inverted_index import FOLDER, InvertedIndex, building_folder, plain_metadata
from splade.indexing.merge import merge
from splade.indexing.segments import Journal, Segment
from splade.indexing.storage import DTYPES, ArrayWriter, disk_errors, write_header
from splade.indexing.weights import codec_for
from splade.kernels.faults import LARGEST, find_fault
from splade.kernels.ids import hash_ids
from splade.kernels.sparse import transpose_parts
from splade.records import SparseBatch, SparseRows

logger = logging.getLogger(__name__)

MIB = 1 << 20
UNFINISHED = "index"  # within the building folder: the merged index until it is moved to its place


class IndexBuilder:
    """Takes documents' vectors in order and writes the index at ``path``.

    Vectors are gathered up to ``memory_mb``, turned into postings and stored as a segment; `finish`
    merges the segments. The index appears at ``path`` whole, when all is done, and an index there
    stays usable until then. With ``resume`` a build that was stopped, in whatever way, goes on
    after its last whole segment: ``n_docs`` documents are there already, ``last_id`` is the last of
    them, and the finished index has the same bytes as one built in one go. A left-over build with
    another vocabulary size, fingerprint or metadata is removed, with a warning. ``layout`` are the
    named choices of `Layout`, made when the segments are merged.

    Memory: ``memory_mb`` (MiB) for vectors and merging; besides, per document, its id twice and 40 bytes.
    """

    def __init__(
        self,
        path: str | Path,
        vocab_size: int,
        *,
        fingerprint: str = "",
        metadata: Mapping[str, Any] | None = None,
        memory_mb: int = 1024,
        resume: bool = False,
        **layout: Any,
    ) -> None:
        if not 1 <= vocab_size <= LARGEST:
            raise ValueError(f"vocab_size must be in [1, {LARGEST}], got {vocab_size}")
        if memory_mb < 1:
            raise ValueError(f"memory_mb must be at least 1, got {memory_mb}")
        self.path, self.vocab_size, self.fingerprint = Path(path), vocab_size, fingerprint
        self.metadata = plain_metadata(metadata)
        self._budget = int(memory_mb) * MIB
        self._layout = Layout(**layout)
        codec_for(self._layout.weights, 0)  # an unknown name is told now, not when all is done
        identity = {"vocab_size": vocab_size, "fingerprint": fingerprint, "metadata": self.metadata}
        with self._disk_errors():
            self._journal: Journal | None = Journal(building_folder(self.path), identity, resume=resume)
        tables = self._journal.tables()
        self._hashes = [np.array(table.arrays["id_hashes"]) for table in tables]
        self._stored = sum(segment.n_docs for segment in self._journal.segments)
        self._last_id: str | None = None
        self._open_segment()

    @property
    def n_docs(self) -> int:
        """Documents added so far, those of a continued build included."""
        return self._stored + self._open_docs

    @property
    def last_id(self) -> str | None:
        """The id of the last document, or None before the first."""
        return self._last_id

    def add(self, batch: SparseBatch) -> None:
        """Append documents. InputError for another vocabulary, unusable weights, or repeated ids.

        Repeated ids are noticed when a segment is stored, at the latest in `finish`.
        """
        journal = self._alive()
        if batch.vocab_size != self.vocab_size:
            raise InputError(f"vectors over {batch.vocab_size} terms do not fit an index over {self.vocab_size}")
        n_docs = len(batch.rows.offsets) - 1
        if len(batch.ids) != n_docs:
            raise ValueError(f"{len(batch.ids)} ids for {n_docs} rows")
        fault = find_fault(batch.rows, self.vocab_size)
        if fault:
            raise InputError(f"document {batch.ids[fault.row]!r}: {fault.problem}")
        refuse_too_many(self.n_docs + n_docs)
        if n_docs == 0:
            return
        packed = pack(batch.ids)
        offsets, columns, weights = batch.rows
        rows = SparseRows(offsets.copy(), columns.copy(), weights.copy())
        self._rows.append(rows)
        self._ids.append(packed)
        self._open_docs += n_docs
        self._last_id = batch.ids[-1]
        self._open_bytes += sum(array.nbytes for array in (*rows, *packed))
        if 2 * self._open_bytes >= self._budget:  # as much again for the postings made of them
            self._store(journal)

    def checkpoint(self) -> None:
        """Store the documents added so far, so that a later build continues after them."""
        journal = self._alive()
        if self._open_docs:
            self._store(journal)

    def finish(self) -> InvertedIndex:
        """Merge the segments into the index at ``path`` and open it. The builder is then spent."""
        journal = self._alive()
        if self._open_docs or not journal.segments:
            self._store(journal)
        with self._disk_errors():
            folder = journal.folder / UNFINISHED
            journal.clear_leftovers()
            folder.mkdir()
            self._write_index(journal, folder)
            self.path.mkdir(parents=True, exist_ok=True)
            replace_folder(folder, self.path / FOLDER)
        self.abandon()
        return InvertedIndex.open(self.path, verify=False)

    def abandon(self) -> None:
        """Remove what was built so far; an index at ``path`` stays. The builder is then spent."""
        if self._journal is not None:
            self._journal.remove()
        self._journal = None
        self._hashes.clear()
        self._open_segment()

    def _open_segment(self) -> None:
        self._rows: list[SparseRows] = []
        self._ids: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []
        self._open_docs = self._open_bytes = 0
        segments = self._journal.segments if self._journal else []
        self._last_id = segments[-1].last_id if segments else None

    def _store(self, journal: Journal) -> None:
        """Write the open segment and start the next one; on an error it stays open."""
        text, offsets = _joined([text for text, _ in self._ids], [offsets for _, offsets in self._ids])
        hashes = hash_ids(text, offsets)
        self._refuse_repeats(hashes, text, offsets)
        postings = transpose_parts(self._rows, self.vocab_size, first=self._stored)
        segment = Segment(
            name=f"{len(journal.segments):05d}",
            n_docs=self._open_docs,
            n_postings=len(postings.columns),
            empty_docs=sum(int((np.diff(rows.offsets) == 0).sum()) for rows in self._rows),
            last_id=self._last_id,
        )
        ids = {"id_text": text, "id_offsets": offsets, "id_hashes": hashes}
        with self._disk_errors():
            journal.add(segment, postings._asdict() | ids)
        self._hashes.append(hashes)
        self._stored += self._open_docs
        self._open_segment()
        logger.debug("%s: segment %s, %d documents so far", self.path, segment.name, self._stored)

    def _refuse_repeats(self, hashes: NDArray[np.uint64], text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        """InputError if an id of the open segment occurs twice in the build."""
        ordered = np.sort(np.concatenate([*self._hashes, hashes]))
        if (ordered[1:] == ordered[:-1]).any():
            stored = [(table.arrays["id_text"], table.arrays["id_offsets"]) for table in self._alive().tables()]
            joined = _joined([text for text, _ in stored] + [text], [offsets for _, offsets in stored] + [offsets])
            DocIds.from_packed(*joined, np.concatenate([*self._hashes, hashes]))

    def _write_index(self, journal: Journal, folder: Path) -> None:
        tables = journal.tables()
        starts = [np.array(table.arrays["offsets"]) for table in tables]
        largest = max((float(table.arrays["weights"].max(initial=0)) for table in tables), default=0.0)
        codec = codec_for(self._layout.weights, largest)
        with ExitStack() as stack:
            writers = {name: stack.enter_context(ArrayWriter(folder, name, DTYPES[name])) for name in DTYPES}
            write = {
                "columns": writers["columns"].write,
                "weights": lambda weights: writers["weights"].write(codec.keep(weights)),
            }
            writers["offsets"].write(merge(journal.folders(), starts, self._budget // 2, write))
            text, offsets = _joined(
                [table.arrays["id_text"] for table in tables], [table.arrays["id_offsets"] for table in tables]
            )
            hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
            for name, array in DocIds.from_packed(text, offsets, hashes).arrays.items():
                writers[name].write(array)
        entries = {name: writer.entry for name, writer in writers.items()}
        entries |= write_blocks(folder, entries, self._stored, codec, self._layout)
        header = {
            "n_docs": self._stored,
            "vocab_size": self.vocab_size,
            "n_postings": writers["columns"].length,
            "empty_docs": sum(segment.empty_docs for segment in journal.segments),
            "fingerprint": self.fingerprint,
            "metadata": self.metadata,
            "weights": list(codec),
        }
        write_header(folder, "index", header, entries)

    def _alive(self) -> Journal:
        if self._journal is None:
            raise ValueError(f"the build of {self.path} has been finished or abandoned: make a new IndexBuilder")
        return self._journal

    def _disk_errors(self) -> AbstractContextManager[None]:
        kept = building_folder(self.path)
        return disk_errors(self.path, f"Correct this and run the same again: it continues from the segments in {kept}")


def _joined(
    texts: list[NDArray[np.uint8]], offsets: list[NDArray[np.int64]]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Packed ids one after the other."""
    starts = np.cumsum([0, *(len(text) for text in texts)])
    moved = [offset[1:] + start for offset, start in zip(offsets, starts, strict=False)]
    return (
        np.concatenate([np.zeros(0, np.uint8), *texts]),
        np.concatenate([np.zeros(1, np.int64), *moved]),
    )
