"""Building an index of any size in bounded memory, so that an interrupted build can be continued."""

import hashlib
import logging
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, check_writable, place_of, replace_folder
from splade.indexing.format.choices import Layout
from splade.indexing.format.doc_ids import DocIds, Packed, joined, pack, refuse_too_many
from splade.indexing.format.pruning import Pruned, prune_documents
from splade.indexing.format.storage import disk_errors
from splade.indexing.format.vocabulary import Vocabulary, unpack
from splade.indexing.format.weights import codec_for
from splade.indexing.index.inverted_index import FOLDER, InvertedIndex, building_folder, plain_metadata
from splade.indexing.index.update_list import forget_updates
from splade.indexing.index.writing import Writing, make_unfinished
from splade.indexing.layout.assembly import write_index
from splade.indexing.layout.blocked import Account
from splade.indexing.layout.fitting import Choice
from splade.indexing.layout.segments import Journal, Segment
from splade.indexing.layout.sources import OnDisk
from splade.kernels.faults import LARGEST, find_fault
from splade.kernels.ids import hash_ids
from splade.kernels.sparse import transpose_parts
from splade.records import SparseBatch, SparseRows

logger = logging.getLogger(__name__)

MIB = 1 << 20


class Added(NamedTuple):
    """Documents of one batch, waiting to be stored."""

    rows: SparseRows
    text: NDArray[np.uint8]  # their ids in UTF-8, one after the other
    starts: NDArray[np.int64]  # where each id begins, and the end
    last_id: str
    empty: int  # documents without terms, as they came
    pruned: Pruned  # counts of postings that were left out
    terms: NDArray[np.int32]  # those that occurred, where postings were left out
    n_docs: int  # of this batch and those that wait before it
    n_bytes: int  # likewise


class IndexBuilder:
    """Takes documents' vectors in order and writes the index at ``path``.

    Vectors are gathered up to ``memory_mb``, turned into postings and stored as a segment; `finish`
    lays the index out from the segments. The index appears at ``path`` when it is whole. An index there stays
    usable until then, but cannot be appended to or deleted from. With ``resume`` a build that was stopped, in
    any way, goes on after its last whole segment: ``n_docs`` documents are stored, ``last_id`` is the last of
    them, and the finished index has the same bytes as one built in one go. A left-over build with another
    vocabulary, fingerprint, pruning of documents or metadata is removed, with a warning. ``layout`` are the named
    choices of `Layout`.

    Without ``vocab_size``, there are as many terms as the widest batch has. ``vocabulary`` holds the names of
    terms and is stored with the index by `finish`. When a build is continued, an empty vocabulary takes the terms
    of the stored segments, so that their numbers stay.

    Memory: ``memory_mb`` (MiB) for vectors and laying out; besides, per document, its id twice and 60 bytes, and
    40 bytes for each posting of the most frequent term.
    """

    def __init__(
        self,
        path: str | Path,
        vocab_size: int | None = None,
        *,
        vocabulary: Vocabulary | None = None,
        fingerprint: str = "",
        metadata: Mapping[str, Any] | None = None,
        memory_mb: int = 1024,
        resume: bool = False,
        **layout: Any,
    ) -> None:
        if vocab_size is not None and not 1 <= vocab_size <= LARGEST:
            raise ValueError(f"vocab_size must be in [1, {LARGEST}], got {vocab_size}")
        if memory_mb < 1:
            raise ValueError(f"memory_mb must be at least 1, got {memory_mb}")
        self.path, self.fingerprint = Path(path), fingerprint
        self.metadata = plain_metadata(metadata)
        self._fixed_size, self._width, self._memory_mb = vocab_size, 1, int(memory_mb)
        self._layout = Layout(**layout)
        codec_for(self._layout.weights, 0)  # an unknown name is told now, not when all is done,
        self._layout.limit  # noqa: B018 - and so is a size that makes no sense
        self._vocabulary = vocabulary
        identity: dict[str, Any] = {"vocab_size": vocab_size, "fingerprint": fingerprint, "metadata": self.metadata}
        rules = self._layout.pruning
        identity |= {"vocabulary": _digest(vocabulary), "top_terms": rules.top_terms}
        if rules.mass < 1:  # without the rule, a build of an earlier version goes on
            identity["mass"] = rules.mass
        check_writable(self.path)
        self._journal: Journal | None = None
        self._hashes: list[NDArray[np.uint64]] = []  # of the ids of each stored segment
        self._open: list[Added] = []  # what is not stored yet; its one list, so that an interrupt leaves it whole
        with self._disk_errors():
            self._writing = Writing(self.path) if (self.path / FOLDER).is_dir() else None
            try:
                self._journal = Journal(building_folder(self.path), identity, resume=resume)
                self._read_stored(self._journal)
            except BaseException:
                self._release()
                raise

    @property
    def vocab_size(self) -> int:
        """Terms of the index, those seen so far where none were promised."""
        return self._fixed_size or max(self._width, len(self._vocabulary or ()))

    @property
    def n_docs(self) -> int:
        """Documents added so far, those of a continued build included."""
        return self._stored + (self._open[-1].n_docs if self._open else 0)

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
        if self._fixed_size not in (None, batch.vocab_size):
            raise InputError(f"vectors over {batch.vocab_size} terms do not fit an index over {self.vocab_size}")
        n_docs = len(batch.rows.offsets) - 1
        if len(batch.ids) != n_docs:
            raise ValueError(f"{len(batch.ids)} ids for {n_docs} rows")
        fault = find_fault(batch.rows, batch.vocab_size)
        if fault:
            raise InputError(f"document {batch.ids[fault.row]!r}: {fault.problem}")
        refuse_too_many(self.n_docs + n_docs)
        self._width = max(self._width, batch.vocab_size)
        if n_docs == 0:
            return
        self._open.append(self._added(batch))
        if 2 * self._open[-1].n_bytes >= self._memory_mb * MIB:  # as much again for the postings made of them
            self._store(journal)

    def _added(self, batch: SparseBatch) -> Added:
        offsets, columns, weights = batch.rows
        rows, pruned = prune_documents(batch.rows, self._layout.pruning)
        if not any(pruned):
            rows = SparseRows(offsets.copy(), columns.copy(), weights.copy())
        empty = int((np.diff(offsets) == 0).sum())
        terms = np.unique(columns) if any(pruned) else np.zeros(0, np.int32)
        text, starts = pack(batch.ids)
        n_docs, n_bytes = (self._open[-1].n_docs, self._open[-1].n_bytes) if self._open else (0, 0)
        n_bytes += sum(array.nbytes for array in (*rows, text, starts))
        return Added(rows, text, starts, batch.ids[-1], empty, pruned, terms, n_docs + len(batch.ids), n_bytes)

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
        with self._disk_errors(), nullcontext() if self._writing else Writing(self.path):
            folder = make_unfinished(self.path)
            journal.clear_leftovers()
            try:
                self._write_index(journal, folder)
                replace_folder(folder, place_of(self.path / FOLDER))
                forget_updates(self.path)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # on a full disk it would take the room of the next attempt
                raise
        self.abandon()
        return InvertedIndex.open_base(self.path, verify=False)

    def leave(self) -> None:
        """Let go after an error: whole segments stay for a later build; without any, nothing stays.

        The builder is then spent.
        """
        if self._journal is not None and not self._journal.segments:
            self._journal.remove()
        self._release()

    def abandon(self) -> None:
        """Remove what was built so far; an index at ``path`` stays. The builder is then spent."""
        if self._journal is not None:
            self._journal.remove()
        self._release()

    def _release(self) -> None:
        """Let others build at ``path``; they find the stored segments."""
        for held in (self._journal, self._writing):
            if held is not None:
                held.release()
        self._journal = self._writing = None
        self._hashes, self._open = [], []

    def _read_stored(self, journal: Journal) -> None:
        """Begin from the stored segments, with nothing open."""
        tables = journal.tables()
        self._hashes = [np.array(table.arrays["id_hashes"]) for table in tables]
        self._width = max([1, *(segment.vocab_size for segment in journal.segments)])
        self._open = []
        if self._vocabulary is not None and len(self._vocabulary) == 0:
            for table in tables:
                for term in unpack(table.arrays["term_text"], table.arrays["term_offsets"]):
                    self._vocabulary.add(term)

    def _store(self, journal: Journal) -> None:
        """Write the open segment and start the next one; on an error or an interrupt it stays open, or is stored."""
        if len(journal.segments) > len(self._hashes):  # interrupted when it had just been stored
            self._read_stored(journal)
            return
        text, offsets = joined([(added.text, added.starts) for added in self._open])
        hashes = hash_ids(text, offsets)
        self._refuse_repeats(hashes, text, offsets)
        all_rows = [added.rows for added in self._open]
        postings = transpose_parts(all_rows, self.vocab_size, first=self._stored)
        segment = Segment(
            name=f"{len(journal.segments):05d}",
            n_docs=len(offsets) - 1,
            n_postings=len(postings.columns),
            empty_docs=sum(added.empty for added in self._open),
            vocab_size=self.vocab_size,
            largest=float(postings.weights.max(initial=0)),
            pruned=sum(added.pruned.by_document for added in self._open),
            by_mass=sum(added.pruned.by_mass for added in self._open),
            last_id=self.last_id,
        )
        arrays = postings._asdict() | {"id_text": text, "id_offsets": offsets, "id_hashes": hashes}
        if self._vocabulary is not None:
            arrays |= self._vocabulary.arrays(self._terms_stored(journal))
        if self._layout.pruning.prunes_documents:
            arrays["terms_before"] = np.unique(np.concatenate([added.terms for added in self._open]))
        with self._disk_errors():
            journal.add(segment, arrays)
        self._hashes.append(hashes)
        self._open = []
        logger.debug("%s: segment %s, %d documents so far", self.path, segment.name, self._stored)

    def _refuse_repeats(self, hashes: NDArray[np.uint64], text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        """InputError if an id of the open segment occurs twice in the build."""
        ordered = np.sort(np.concatenate([*self._hashes, hashes]))
        if (ordered[1:] == ordered[:-1]).any():
            everything = joined([*_packed(self._alive()), (text, offsets)])
            DocIds.from_packed(*everything, np.concatenate([*self._hashes, hashes]))

    def _terms_stored(self, journal: Journal) -> int:
        return sum(len(table.arrays["term_offsets"]) - 1 for table in journal.tables())

    def _write_index(self, journal: Journal, folder: Path) -> None:
        segments = journal.segments
        source = OnDisk(journal.folders(), segments, self.vocab_size)
        largest = max((segment.largest for segment in segments), default=0.0)

        def describe(account: Account, choice: Choice) -> dict[str, Any]:
            added = Pruned(
                by_document=sum(segment.pruned for segment in segments),
                by_mass=sum(segment.by_mass for segment in segments),
            )
            before, left_out = sum(added) + sum(segment.n_postings for segment in segments), added + choice.left_out
            pruned = account.report(choice.layout.pruning, before, left_out, _terms_before(journal, source))
            if pruned:
                logger.info("%s: %s", self.path, pruned)
            return {
                "empty_docs": account.empty_docs(sum(segment.empty_docs for segment in segments), source.n_docs),
                "fingerprint": self.fingerprint,
                "metadata": self.metadata,
                "layout": choice.layout.identity,
                **({"pruned": pruned._asdict()} if pruned else {}),
            }

        fit = write_index(
            folder,
            source,
            self._all_ids(journal),
            codec=codec_for(self._layout.weights, largest),
            layout=self._layout,
            vocabulary=self._vocabulary,
            memory_mb=self._memory_mb,
            describe=describe,
            largest=largest,
        )
        if fit:
            logger.info("%s: %s", self.path, fit.said)

    def _all_ids(self, journal: Journal) -> DocIds:
        text, offsets = joined(_packed(journal))
        return DocIds.from_packed(text, offsets, np.concatenate([np.empty(0, np.uint64), *self._hashes]))

    def _alive(self) -> Journal:
        if self._journal is None:
            raise ValueError(
                f"the build of {self.path} has been finished or abandoned, or was left: make a new IndexBuilder"
            )
        return self._journal

    def _disk_errors(self) -> AbstractContextManager[None]:
        kept = building_folder(self.path)
        return disk_errors(
            self.path, f"Correct this and run the same again: it continues after what is whole in {kept}"
        )


def _digest(vocabulary: Vocabulary | None) -> str | None:
    """Return a digest that tells one complete vocabulary from another; "" for one that is still to be filled."""
    if vocabulary is None:
        return None
    return hashlib.sha256("\n".join(vocabulary).encode()).hexdigest()[:16] if len(vocabulary) else ""


def _packed(journal: Journal) -> list[Packed]:
    """The ids of the stored segments."""
    return [(table.arrays["id_text"], table.arrays["id_offsets"]) for table in journal.tables()]


def _terms_before(journal: Journal, source: OnDisk) -> int:
    """The number of terms that documents had before any pruning."""
    kept = np.flatnonzero(np.diff(source.offsets))
    lost = [table.arrays["terms_before"] for table in journal.tables() if "terms_before" in table.arrays]
    return len(np.unique(np.concatenate([kept, *lost])))
