"""Building an index of any size in bounded memory, so that an interrupted build can be continued."""

import logging
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, check_writable, replace_folder
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


class Added(NamedTuple):
    """Documents of one batch, waiting to be stored."""

    rows: SparseRows
    text: NDArray[np.uint8]  # their ids in UTF-8, one after the other
    starts: NDArray[np.int64]  # where each id begins, and the end
    last_id: str


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
        check_writable(self.path)
        with self._disk_errors():
            self._journal: Journal | None = Journal(building_folder(self.path), identity, resume=resume)
        self._hashes: list[NDArray[np.uint64]] = []  # of the ids of each stored segment
        self._open: list[Added] = []  # what is not stored yet; its one list, so that an interrupt leaves it whole
        self._read_stored(self._journal)

    @property
    def n_docs(self) -> int:
        """Documents added so far, those of a continued build included."""
        return self._stored + sum(len(added.rows.offsets) - 1 for added in self._open)

    @property
    def last_id(self) -> str | None:
        """The id of the last document, or None before the first."""
        if self._open:
            return self._open[-1].last_id
        segments = self._journal.segments if self._journal else []
        return segments[-1].last_id if segments else None

    @property
    def _stored(self) -> int:
        return sum(segment.n_docs for segment in self._journal.segments) if self._journal else 0

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
        offsets, columns, weights = batch.rows
        rows = SparseRows(offsets.copy(), columns.copy(), weights.copy())
        self._open.append(Added(rows, *pack(batch.ids), batch.ids[-1]))
        open_bytes = sum(array.nbytes for added in self._open for array in (*added.rows, added.text, added.starts))
        if 2 * open_bytes >= self._budget:  # as much again for the postings made of them
            self._store(journal)

    def checkpoint(self) -> None:
        """Store the documents added so far, so that a later build continues after them."""
        journal = self._alive()
        if self._open:
            self._store(journal)

    def finish(self) -> InvertedIndex:
        """Merge the segments into the index at ``path`` and open it. The builder is then spent."""
        journal = self._alive()
        if self._open or not journal.segments:
            self._store(journal)
        with self._disk_errors():
            folder = journal.folder / UNFINISHED
            journal.clear_leftovers()
            folder.mkdir()
            try:
                self._write_index(journal, folder)
                self.path.mkdir(parents=True, exist_ok=True)
                replace_folder(folder, self.path / FOLDER)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # on a full disk it would take the room of the next attempt
                raise
        self.abandon()
        return InvertedIndex.open(self.path, verify=False)

    def leave(self) -> None:
        """Let go after an error: whole segments stay for a later build, and where there are none, nothing stays."""
        if self._journal is not None and not self._journal.segments:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was built so far; an index at ``path`` stays. The builder is then spent."""
        if self._journal is not None:
            self._journal.remove()
        self._journal = None
        self._hashes, self._open = [], []

    def _read_stored(self, journal: Journal) -> None:
        """Take the stored segments as what there is, and nothing as open."""
        self._hashes = [np.array(table.arrays["id_hashes"]) for table in journal.tables()]
        self._open = []

    def _store(self, journal: Journal) -> None:
        """Write the open segment and start the next one; on an error or an interrupt it stays open, or is stored."""
        if len(journal.segments) > len(self._hashes):  # interrupted when it had just been stored
            self._read_stored(journal)
            return
        text, offsets = _joined([added.text for added in self._open], [added.starts for added in self._open])
        hashes = hash_ids(text, offsets)
        self._refuse_repeats(hashes, text, offsets)
        all_rows = [added.rows for added in self._open]
        postings = transpose_parts(all_rows, self.vocab_size, first=self._stored)
        segment = Segment(
            name=f"{len(journal.segments):05d}",
            n_docs=sum(len(rows.offsets) - 1 for rows in all_rows),
            n_postings=len(postings.columns),
            empty_docs=sum(int((np.diff(rows.offsets) == 0).sum()) for rows in all_rows),
            last_id=self.last_id,
        )
        ids = {"id_text": text, "id_offsets": offsets, "id_hashes": hashes}
        with self._disk_errors():
            journal.add(segment, postings._asdict() | ids)
        self._hashes.append(hashes)
        self._open = []
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
        return disk_errors(
            self.path, f"Correct this and run the same again: it continues after what is whole in {kept}"
        )


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
