"""Contracts of what reads and writes files: readers of collections and targets of exports."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from splade.data.collections.opening import open_collection
from splade.data.collections.readers import Reader
from splade.exporting.tally import Tally
from splade.exporting.target import ExportTarget, FileTarget, Observed, Written
from splade.files import InputError
from splade.records import SparseBatch, SparseRows

WORDS = ("cat", "dog", "fish")
IDS = ("d1", "a b", "ü/2")


def check_reader(reader: str | Reader, path: str | Path) -> None:
    """AssertionError unless ``reader``, or what this dotted path names, reads the same texts of ``path`` each time.

    Their ids must differ, and a `Collection` must count and find its texts by number and by id.
    """
    name = reader if isinstance(reader, str) else f"{reader.__module__}.{reader.__qualname__}"  # type: ignore[attr-defined]
    try:
        collection = open_collection(f"{name}:{path}")
        texts, again = list(collection), list(open_collection(f"{name}:{path}"))
    except InputError as error:
        raise AssertionError(str(error)) from error
    assert texts, f"{name} reads no texts from {path}"
    assert texts == again, f"{name} reads other texts the second time"
    assert len(collection) == len(texts), f"{name}: len is {len(collection)}, and {len(texts)} texts are read"
    ids = [text.id for text in texts]
    assert len(set(ids)) == len(ids), f"{name}: ids are not unique"
    assert collection.find([*ids, "no such id"]).tolist() == [*range(len(ids)), -1], (
        f"{name}.find must give the number of each id, and -1 for one that is unknown"
    )
    assert [collection.at(number) for number in range(len(ids))] == texts, f"{name}.at gives other texts"
    assert list(collection.iterate(1)) == texts[1:], f"{name}.iterate(1) must leave out the first text alone"


def check_export_target(target: ExportTarget, folder: str | Path) -> None:
    """AssertionError unless ``target`` writes every text, into ``folder`` alone, and leaves no half file behind.

    ``folder`` must be empty or absent.
    """
    name, folder = type(target).__name__, Path(folder)
    if isinstance(target, FileTarget):
        target.prepare(Observed(n_docs=len(IDS), n_postings=3, vocab_size=len(WORDS), largest=2.0))
        target.documents_in = folder / "documents"
    for what, write in (("documents", _documents), ("queries", _queries)):
        broken = folder / f"{what}_broken"
        try:
            write(target, broken, fail=True)
        except OSError:
            left = [path.name for path in broken.rglob("*") if path.is_file()]
            assert not left, f"{name} left {left} of {what} behind an error: write through splade.files.whole_file"
        else:
            raise AssertionError(f"{name} goes on after an error of the {what} that it reads")
        whole = folder / what
        written = write(target, whole, fail=False)
        assert tuple(written or ()) == (len(IDS), 1), (
            f"{name} tells {written!r} of {len(IDS)} {what}, of which one has no terms: return Written({len(IDS)}, 1)"
        )
        assert any(path.is_file() and path.stat().st_size for path in whole.rglob("*")), f"{name} writes no {what}"
        first = _content(whole)
        write(target, whole, fail=False)
        assert _content(whole) == first, f"{name} writes other {what} the second time"
        if isinstance(target, FileTarget):
            _check_reading(target, whole, what)


def _check_reading(target: FileTarget, folder: Path, what: str) -> None:
    """AssertionError unless what is read back is exactly what the target says that its engine keeps."""
    side = what.removesuffix("s").replace("querie", "query")
    read = target.read_documents if side == "document" else target.read_queries
    written, found = Tally(target, side), Tally(target, side)
    for batch in _batches(fail=False):
        written.add(batch)
    for batch in read(folder, WORDS):
        found.add_kept(batch)
    told, expected = found.told_kept(), {name: written.told()[name] for name in found.told_kept()}
    assert told == expected, f"{type(target).__name__} reads back other {what} than it keeps: {told} for {expected}"


def _documents(target: ExportTarget, folder: Path, fail: bool) -> Written:
    return target.write_documents(folder, ((batch, ["text"] * len(batch.ids)) for batch in _batches(fail)), WORDS)


def _queries(target: ExportTarget, folder: Path, fail: bool) -> Written:
    return target.write_queries(folder, _batches(fail), WORDS)


def _batches(fail: bool) -> Iterator[SparseBatch]:
    """Two batches, of which the second has a text without terms; after the first an OSError, where it is to fail."""
    yield _batch(IDS[:1], [0, 2], [0, 2], [1.5, 0.25])
    if fail:
        raise OSError("an error of the check")
    yield _batch(IDS[1:], [0, 0, 1], [1], [2.0])


def _batch(ids: Sequence[str], offsets: list[int], columns: list[int], weights: list[float]) -> SparseBatch:
    rows = SparseRows(np.array(offsets, np.int64), np.array(columns, np.int32), np.array(weights, np.float32))
    return SparseBatch(tuple(ids), rows, len(WORDS))


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
