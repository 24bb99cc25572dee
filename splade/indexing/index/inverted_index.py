"""The index: the document matrix transposed, with string ids, in memory or mapped from disk."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.files import InputError, standing, whole_folder
from splade.indexing.format.choices import Layout
from splade.indexing.format.doc_ids import DocIds, refuse_too_many
from splade.indexing.format.pruning import Pruned, prune_documents
from splade.indexing.format.storage import (
    DTYPES,
    HEADER,
    CorruptIndexError,
    Table,
    disk_errors,
    octets_of,
    read_steady,
    read_table,
    write_table,
)
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.format.weights import Codec, codec_for
from splade.indexing.index.calibrated import header_of, read_calibrations
from splade.indexing.index.parts import Part
from splade.indexing.index.scored_terms import ScoredTerms, scored_terms
from splade.indexing.index.segmented import SegmentedIndex
from splade.indexing.index.update_list import BASE, LIST, deleted_docs, forget_updates, read_updates
from splade.indexing.index.update_list import FOLDER as UPDATES
from splade.indexing.index.writing import Writing
from splade.indexing.layout.blocked import NEEDED, PREFIX, Account, blocks_from, lay_out
from splade.indexing.layout.fitting import Choice, Fit, fit_of, lay_out_within
from splade.indexing.layout.promise import Calibration, from_arrays
from splade.indexing.layout.sources import InMemory
from splade.kernels.blocks import Blocks
from splade.kernels.compiled import read_only
from splade.kernels.restore import postings_of, vectors_of
from splade.kernels.sparse import from_matrix
from splade.records import SparseRows

FOLDER = BASE  # within the folder that the user names; nothing beside it is ever touched
IN_MEMORY_MB = 1024  # for laying an index out that is not stored
COUNTS = ("n_docs", "vocab_size", "n_postings", "empty_docs")


class InvertedIndex:
    """Postings by term, immutable; document number is the position in the id table.

    ``arrays`` are all stored arrays by name; ``blocks`` the postings among them, as strategies search them;
    ``fingerprint`` names the encoder that made the vectors ("" where unknown); ``vocabulary`` tells
    what terms are called, or is None; ``path`` is the folder it was opened from or saved to, or None; ``updates``
    is how often documents were appended or deleted before they were merged into it. ``fit`` is what it cost to have the
    size that was asked for, None where none was. ``calibration`` is what
    approximate search may promise: measured on queries of the user's own (`splade.indexing.calibrate_stored`), or by
    the build on made-up ones; None where neither is stored.

    Nothing is stored twice: `postings` by document number and `vectors` by document are read back from the
    blocks. There are no forward rows, since no strategy rescores: blocks are scored with the weights kept.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        empty_docs: int,
        fingerprint: str = "",
        metadata: Mapping[str, Any] | None = None,
        path: Path | None = None,
        codec: Codec | None = None,
        layout: Layout | None = None,
        pruned: Pruned | None = None,
        updates: int = 0,
        fit: Fit | None = None,
    ) -> None:
        self.arrays = dict(arrays)
        self.blocks: Blocks = blocks_from(self.arrays)
        self.doc_ids = DocIds.from_arrays(self.arrays)
        self.n_docs, self.n_deleted = len(self.doc_ids), 0
        self.vocab_size = len(self.blocks.offsets) - 1
        self.n_postings = len(self.blocks.local)
        self.empty_docs = empty_docs
        self.fingerprint = fingerprint
        self.metadata = plain_metadata(metadata)
        self.path = path
        self.codec = codec or Codec("float32", 1.0)
        self.layout = (layout or Layout())._replace(n_threads=None)
        self.pruned = pruned
        self.updates, self.fit = updates, fit
        self.calibration: Calibration | None = from_arrays(self.arrays)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Itself, as the only part; see `SegmentedIndex`."""
        return (Part(self, 0, read_only(np.empty(0, np.uint8))),)

    @property
    def n_bytes(self) -> int:
        """The size of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def postings(self) -> SparseRows:
        """Sparse rows with terms as rows and document numbers as columns; made anew, 8 bytes per posting."""
        return postings_of(self.blocks, 0, self.vocab_size, np.arange(self.n_docs, dtype=np.int32))

    def vectors(self, docs: ArrayLike) -> SparseRows:
        """The vectors of document numbers, a row of terms each, in their order.

        Reads every range of 32,768 documents that one of them is in: ask for many at a time.
        """
        numbers = np.asarray(docs, np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.n_docs:
            raise IndexError(f"document numbers must be in [0, {self.n_docs}), got {numbers.min()} to {numbers.max()}")
        return vectors_of(self.blocks, numbers)

    def explain(self, query: Any, doc: str | int) -> ScoredTerms:
        """The terms of ``query`` that make the score of ``doc``: weights as kept, products summed as in a search.

        ``query`` is one row of a CSR matrix, a `SparseRows` or a `SparseBatch`; ``doc`` an id or a document number.
        InputError for another vocabulary or an unknown id, IndexError for an unknown number, ValueError for several
        rows.
        """
        return scored_terms(self, query, doc)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary, which names each term; None where the names are not known."""
        return Vocabulary.from_arrays(self.arrays)

    @classmethod
    def from_csr(
        cls,
        matrix: Any,
        doc_ids: Sequence[str] | None = None,
        *,
        fingerprint: str = "",
        metadata: Mapping[str, Any] | None = None,
        vocabulary: Iterable[str] | None = None,
        **layout: Any,
    ) -> "InvertedIndex":
        """The index of a document matrix [n_docs, vocab_size], in memory.

        ``matrix`` is a CSR matrix as SciPy's or a `SparseBatch`. Without ``doc_ids``, documents are
        called by the batch's ids, or by their numbers. ``vocabulary`` are the terms as strings, by number. ``layout``
        are the named choices of `Layout`: weights, clustering, pruning and threads. ValueError for weights that are
        negative or not finite; InputError if ids repeat or their number is not that of the rows.
        """
        rows, width, ids = from_matrix(matrix)
        if width is None:
            raise TypeError("SparseRows do not know the size of the vocabulary: give a SparseBatch or a CSR matrix")
        n_docs = len(rows.offsets) - 1
        refuse_too_many(n_docs)
        names = doc_ids if doc_ids is not None else ids if ids is not None else [str(doc) for doc in range(n_docs)]
        if len(names) != n_docs:
            raise InputError(f"{len(names)} document ids for {n_docs} rows: there must be one id per row")
        table = DocIds.from_strings(names)
        choices = Layout(**layout)
        largest = float(rows.weights.max(initial=0))
        codec = codec_for(choices.weights, largest)
        kept, pruned = prune_documents(rows, choices.pruning)
        source = InMemory(kept, width)
        beside = table.arrays | (Vocabulary(vocabulary).arrays() if vocabulary is not None else {})
        n_beside = sum(array.nbytes for array in beside.values())
        pieces: dict[str, list[NDArray[Any]]] = {}

        def lay(choice: Choice) -> tuple[Account, int]:
            pieces.clear()
            account = lay_out(
                choice.source,
                choice.codec,
                choice.layout,
                lambda name, array: pieces.setdefault(name, []).append(array),
            )
            return account, n_beside + sum(array.nbytes for parts in pieces.values() for array in parts)

        choice, account = lay_out_within(
            source, choices, codec, largest=largest, beside=n_beside, memory_mb=IN_MEMORY_MB, lay=lay
        )
        arrays = beside | {name: read_only(np.concatenate(parts)) for name, parts in pieces.items()}
        before, terms = len(rows.columns), np.unique(rows.columns).size
        return cls(
            arrays,
            empty_docs=account.empty_docs(int((np.diff(rows.offsets) == 0).sum()), n_docs),
            fingerprint=fingerprint,
            metadata=metadata,
            codec=choice.codec,
            layout=choice.layout,
            pruned=account.report(choice.layout.pruning, before, pruned + choice.left_out, terms),
            fit=fit_of(source, choice, choices, arrays),
        )

    @classmethod
    def open(cls, path: str | Path, *, verify: bool | None = None) -> "InvertedIndex | SegmentedIndex":
        """The index in the folder ``path``, memory-mapped: processes that open it share its pages.

        It is a `SegmentedIndex` if documents were appended or deleted (`splade.indexing.building.updates`). Header
        and file sizes are always checked. ``verify`` reads every file once and compares its checksums; None does so
        up to 256 MiB. Without it, a changed byte may give wrong results or crash the process. If the index changes
        meanwhile, the state before or after the change is opened. InputError if there is no index,
        CorruptIndexError if it is damaged.
        """
        path = Path(path)
        return read_steady(lambda: state_of(path), lambda: cls._read(path, verify))

    @classmethod
    def _read(cls, path: Path, verify: bool | None) -> "InvertedIndex | SegmentedIndex":
        base = cls.open_base(path, verify=verify)
        updates = read_updates(path, standing(path / FOLDER))
        appended = [cls.open_base(path / UPDATES / name, verify=verify) for name in updates.segments]
        places = [standing(path / FOLDER), *(standing(path / UPDATES / name / FOLDER) for name in updates.segments)]
        for index, own in zip((base, *appended), read_calibrations(path, places), strict=True):
            index.calibration = own or index.calibration
        if not updates.made:
            return base
        return SegmentedIndex([base, *appended], deleted_docs(path, updates, verify=True), updates.made, path)

    @classmethod
    def open_base(cls, path: str | Path, *, verify: bool | None = None) -> "InvertedIndex":
        """Open the index that was built at ``path``, without regard to updates."""
        path = Path(path)
        folder = base_folder(path)
        table = read_table(folder, "index", verify=verify)
        _check_lengths(folder, table)
        return cls(
            table.arrays,
            empty_docs=table.header["empty_docs"],
            fingerprint=table.header["fingerprint"],
            metadata=table.header["metadata"],
            path=path,
            codec=Codec(*table.header["weights"]),
            layout=Layout.from_identity(table.header["layout"]),
            pruned=Pruned(**table.header["pruned"]) if "pruned" in table.header else None,
            updates=table.header.get("updates", 0),
            fit=Fit(**table.header["fit"]) if "fit" in table.header else None,
        )

    def save(self, path: str | Path) -> None:
        """Write the index into the folder ``path``, whole or not at all; replaces an index there.

        Other files in ``path`` stay as they are. InputError where it cannot be written, and while somebody else
        writes the index there.
        """
        path = Path(path)
        remedy = "Free space or choose another folder; what was there before is unchanged"
        with disk_errors(path, remedy), Writing(path):
            with whole_folder(path / FOLDER) as folder:
                write_table(folder, "index", self.header, self.arrays)
            forget_updates(path)
        self.path = path

    @property
    def header(self) -> dict[str, Any]:
        """Counts, fingerprint and metadata, as they are stored."""
        counts = {name: int(getattr(self, name)) for name in COUNTS}
        said: dict[str, Any] = {"fingerprint": self.fingerprint, "metadata": self.metadata, "weights": list(self.codec)}
        said["layout"] = self.layout.identity
        said |= {"updates": self.updates} if self.updates else {}
        said |= {"fit": self.fit._asdict()} if self.fit else {}
        return counts | said | ({"pruned": self.pruned._asdict()} if self.pruned else {})

    def __repr__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return f"<InvertedIndex of {self.n_docs} documents, {self.n_postings} postings{where}>"


Index = InvertedIndex | SegmentedIndex


def building_folder(path: Path) -> Path:
    """Return the folder that keeps the parts of an index while it is built; the index will appear at ``path``.

    It is beside the index, or within its folder if that is a mount point or nothing can be written beside it.
    Symbolic links in ``path`` are followed: all lead to one folder, on their target's disk.
    """
    place = path.resolve()
    beside = place.parent / f".{place.name}.building"
    if place.is_dir() and (
        place.stat().st_dev != place.parent.stat().st_dev or not os.access(place.parent, os.W_OK | os.X_OK)
    ):
        return place / ".building"
    return beside


def base_folder(path: Path) -> Path:
    """The folder of the index built at ``path``; InputError if there is none."""
    folder = standing(path / FOLDER)
    if not folder.is_dir():
        raise InputError(_no_index(path))
    return folder


def state_of(path: Path) -> tuple[bytes | None, ...]:
    """Return the bytes that tell one state of the index at ``path`` from any other.

    They are those of its header, of its updates, and of its calibration.
    """
    base = octets_of(standing(path / FOLDER) / HEADER)
    return base, octets_of(path / UPDATES / LIST), octets_of(header_of(path))


def plain_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """``metadata`` as a JSON object gives it back; ValueError where JSON cannot hold it."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(metadata or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"index metadata must be what JSON can hold: {error}") from error
    return plain


def _no_index(path: Path) -> str:
    message = f"{path}: there is no index here"
    if building_folder(path).is_dir():
        return f"{message}; building one was interrupted: run the same python -m splade.index again, it continues"
    return f"{message}. Build one with python -m splade.index config.index_dir={path}, or correct config.index_dir"


def _check_lengths(folder: Path, table: Table) -> None:
    header, arrays = table
    missing = [name for name in (*DTYPES, *NEEDED) if name not in arrays]
    if missing:
        raise CorruptIndexError(f"{folder}: the header lists no array {missing[0]!r}. Build the index again")
    lengths = {
        "offsets": header["vocab_size"] + 1,
        f"{PREFIX}local": header["n_postings"],
        f"{PREFIX}order": header["n_docs"],
        "id_offsets": header["n_docs"] + 1,
        "id_hashes": header["n_docs"],
        "id_order": header["n_docs"],
    }
    for name in (*DTYPES, f"{PREFIX}local", f"{PREFIX}order"):
        dtype = DTYPES.get(name, arrays[name].dtype)
        found = arrays[name]
        if found.dtype != dtype or found.size != lengths.get(name, found.size):
            raise CorruptIndexError(
                f"{folder / f'{name}.bin'}: {found.size} elements of {found.dtype} found, "
                f"{lengths.get(name, found.size)} of {dtype} expected. Build the index again"
            )
    for name, total in (("offsets", header["n_postings"]), ("id_offsets", arrays["id_text"].size)):
        first, last = int(arrays[name][0]), int(arrays[name][-1])
        if (first, last) != (0, total):
            raise CorruptIndexError(
                f"{folder / f'{name}.bin'}: runs from {first} to {last}, expected 0 to {total}. Build the index again"
            )
