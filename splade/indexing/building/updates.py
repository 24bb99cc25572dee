"""Appending documents to a stored index, deleting from it, and merging its live documents.

An appended batch of documents is an index of its own, built and searched like any other; deleted documents are
a list. The cost of both grows with the change, not with the index. `merge` then lays all live documents out anew:
the result has the bytes of an index built from them in one go (uint8 weights apart, see there).
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, whole_folder
from splade.indexing.building.builder import IndexBuilder
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.pruning import Pruned
from splade.indexing.format.storage import disk_errors, write_table
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.format.weights import Codec
from splade.indexing.index.inverted_index import FOLDER, Index, InvertedIndex, base_folder
from splade.indexing.index.parts import Part
from splade.indexing.index.segmented import SegmentedIndex
from splade.indexing.index.update_list import FOLDER as UPDATES
from splade.indexing.index.update_list import Updates, deleted_docs, forget_updates, read_updates, write_updates
from splade.indexing.index.writing import Writing
from splade.indexing.layout.assembly import write_index
from splade.indexing.layout.sources import Stored
from splade.kernels.ids import hash_ids
from splade.kernels.restore import lengths_of
from splade.records import SparseBatch

logger = logging.getLogger(__name__)
REMEDY = "Correct this and run the same again; what is searched is unchanged"


class IndexAppender:
    """Takes documents' vectors in order and appends them to the index at ``path``.

    Works as `IndexBuilder` does, with the terms, the encoder and the layout of the stored index. Ids that it holds
    are refused. A ``vocabulary`` goes on growing. So does the number of terms if no encoder made the index: a larger
    term id may come later. Nothing changes for readers until `finish`.
    """

    def __init__(
        self, path: str | Path, *, memory_mb: int = 1024, resume: bool = False, n_threads: int | None = None
    ) -> None:
        self.path = Path(path)
        self._writing, self._updates = _begin(self.path)
        try:
            self._index = InvertedIndex.open(path, verify=False)
            self._name = f"{self._updates.made + 1:05d}"
            known = self._index.vocabulary
            self.vocabulary = None if known is None else Vocabulary(known)
            layout = self._index.parts[0].segment.layout._replace(n_threads=n_threads)
            may_grow = known is not None or not self._index.fingerprint
            self._builder = IndexBuilder(
                self.path / UPDATES / self._name,
                None if may_grow else self._index.vocab_size,
                vocabulary=self.vocabulary,
                fingerprint=self._index.fingerprint,
                memory_mb=memory_mb,
                resume=resume,
                **layout._asdict(),
            )
        except BaseException:
            self._writing.release()
            raise

    @property
    def n_docs(self) -> int:
        """Documents added so far, those of a continued run included."""
        return self._builder.n_docs

    def add(self, batch: SparseBatch) -> None:
        """Append documents; InputError as `IndexBuilder.add`, and where the index holds one of their ids."""
        there = self._index.doc_ids.numbers(batch.ids) >= 0
        if there.any():
            twin = batch.ids[int(there.argmax())]
            raise InputError(f"document {twin!r} is in {self.path} already: delete it first, or leave it out")
        self._builder.add(batch)

    def checkpoint(self) -> None:
        """Store the documents added so far, so that a later run continues after them."""
        self._builder.checkpoint()

    def leave(self) -> None:
        """Let go after an error: whole segments stay for a later run; without any, nothing stays.

        The appender is then spent.
        """
        self._builder.leave()
        self._writing.release()

    def finish(self) -> Index:
        """Build the new part, make it count, and open the whole. The appender is then spent."""
        self._builder.finish()
        segments = (*self._updates.segments, self._name)
        with self._writing, disk_errors(self.path, REMEDY):
            write_updates(self.path, self._updates._replace(segments=segments, made=self._updates.made + 1))
        return InvertedIndex.open(self.path, verify=False)


def delete(path: str | Path, ids: Sequence[str], *, ignore_missing: bool = False) -> int:
    """Delete documents by id from the index at ``path``; returns how many.

    InputError where one of them is not there, unless ``ignore_missing``, and while somebody else writes the index;
    then nothing is deleted.
    """
    path = Path(path)
    writing, updates = _begin(path)
    with writing:
        return _delete(path, updates, ids, ignore_missing)


def _delete(path: Path, updates: Updates, ids: Sequence[str], ignore_missing: bool) -> int:
    found = InvertedIndex.open(path, verify=False).doc_ids.numbers(ids)
    missing = np.flatnonzero(found < 0)
    if missing.size and not ignore_missing:
        raise InputError(
            f"{path}: {missing.size} of {len(ids)} documents to delete are not there, the first is "
            f"{ids[int(missing[0])]!r}. Correct the list, or ignore what is missing"
        )
    numbers = np.unique(found[found >= 0])
    if not numbers.size:
        return 0
    name = f"deleted-{updates.made + 1:05d}"
    docs = np.union1d(deleted_docs(path, updates, verify=True), numbers).astype(np.int32)
    with disk_errors(path, REMEDY):
        with whole_folder(path / UPDATES / name) as folder:
            write_table(folder, "deleted", {}, {"docs": docs})
        write_updates(path, updates._replace(deleted=name, made=updates.made + 1))
    if updates.deleted:
        shutil.rmtree(path / UPDATES / updates.deleted, ignore_errors=True)
    return len(numbers)


def merge(path: str | Path, *, memory_mb: int = 1024, n_threads: int | None = None) -> InvertedIndex:
    """Make one index of all live documents at ``path``, in their order; readers see the old state or the new one.

    The arrays are those of one build from these documents, with two exceptions: pruned postings stay pruned, and
    uint8 weights of parts with another scale than the largest are rounded again, to multiples of that. Terms
    keep their numbers. Memory: as `splade.indexing.layout.blocked.lay_out`, and 30 bytes per document.
    """
    path = Path(path)
    index = InvertedIndex.open(path, verify=False)
    if isinstance(index, InvertedIndex):
        return index
    writing, _ = _begin(path)
    with writing:
        index = InvertedIndex.open(path, verify=False)  # again: it may have changed before it was ours
        if isinstance(index, SegmentedIndex):
            _merge(path, index, memory_mb, n_threads)
    return InvertedIndex.open_base(path, verify=False)


def _merge(path: Path, index: SegmentedIndex, memory_mb: int, n_threads: int | None) -> None:
    first = index.parts[0].segment
    numbers = _new_numbers(index)
    source = Stored(
        [(part.segment.blocks, new) for part, new in zip(index.parts, numbers, strict=True)], index.vocab_size
    )
    codec = Codec(first.codec.name, max(part.segment.codec.scale for part in index.parts))
    plain = first.layout._replace(
        n_threads=n_threads, prune_top_terms=None, prune_min_weight=0.0, prune_term_quantile=0.0, prune_mass=1.0
    )
    pruned = sum((part.segment.pruned for part in index.parts if part.segment.pruned), start=Pruned())
    facts = {
        "empty_docs": sum(_empty(part) for part in index.parts),
        "fingerprint": index.fingerprint,
        "metadata": index.metadata,
        "layout": first.layout.identity,
        "updates": index.updates,
        **({"pruned": pruned._asdict()} if any(pruned) else {}),
    }
    with disk_errors(path, REMEDY), whole_folder(path / FOLDER) as folder:
        write_index(
            folder,
            source,
            _live_ids(index.parts),
            codec=codec,
            layout=plain,
            vocabulary=index.vocabulary,
            memory_mb=memory_mb,
            describe=lambda account, choice: facts,  # noqa: ARG005 - nothing is pruned here
        )
    forget_updates(path)
    logger.info("%s: merged into one index of %d documents", path, source.n_docs)


def _begin(path: Path) -> tuple[Writing, Updates]:
    """Keep other writers out; the state to change, cleared of updates of an earlier base."""
    base_folder(path)  # looked for before a folder is made for its updates
    with disk_errors(path, REMEDY):
        writing = Writing(path)
    try:
        updates = read_updates(path, base_folder(path))
        if not updates.made:
            for entry in (path / UPDATES).iterdir():
                if entry.name.strip("0123456789") in ("", "deleted-"):  # whole, but of another base
                    shutil.rmtree(entry)
    except BaseException:
        writing.release()
        raise
    return writing, updates


def _new_numbers(index: SegmentedIndex) -> list[NDArray[np.int32]]:
    """Return the number that each document of each part has once deleted ones have gone; -1 for the deleted."""
    numbers, start = [], 0
    for part in index.parts:
        live = part.live if part.live.size else np.ones(part.segment.n_docs, np.uint8)
        counted = start + np.cumsum(live, dtype=np.int64)
        numbers.append(np.where(live, counted - 1, -1).astype(np.int32))
        start += int(live.sum())
    return numbers


def _live_ids(parts: Sequence[Part]) -> DocIds:
    texts, lengths = [np.empty(0, np.uint8)], [np.zeros(1, np.int64)]
    for index, _, live in parts:
        sizes = np.diff(index.doc_ids.offsets)
        keep = live.astype(bool) if live.size else np.ones(len(sizes), bool)
        texts.append(index.doc_ids.text[np.repeat(keep, sizes)])
        lengths.append(sizes[keep])
    text, offsets = np.concatenate(texts), np.cumsum(np.concatenate(lengths))
    return DocIds.from_packed(text, offsets, hash_ids(text, offsets))


def _empty(part: Part) -> int:
    """Live documents without a posting."""
    empty = lengths_of(part.segment.blocks) == 0
    return int(np.count_nonzero(empty & (part.live != 0) if part.live.size else empty))
