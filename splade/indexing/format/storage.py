"""Named flat arrays in a folder: the format of an index and of the segments it is built from.

A folder holds ``NAME.bin`` for each array, its little-endian elements and nothing else, and
``header.json``: a magic word, the format version, what kind of table it is, counts and metadata,
and for each array its dtype, its length and a CRC-32 of every 64 MiB of it. The header ends with a
checksum of itself. It adds no time and no path of its own: equal contents and metadata give equal bytes.

Arrays are written in pieces of 2 MiB and mapped with a wish for pages of that size. Linux then keeps a file in memory
in such pages if it can, and searches, which jump about in all of an index, take a tenth less time.

A reader looks for the arrays it knows, so a later version may add arrays without a new format
version; that rises only when what an older reader would find is no longer right for it.
"""

import errno
import json
import mmap
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, read_json, write_json

MAGIC = "splade-index"
FORMAT_VERSION = 1
HEADER = "header.json"
PIECE = 64 << 20  # bytes under one checksum
LARGE_PAGE = 2 << 20  # bytes of a page of memory, where the system has large ones
PARALLEL_CHECKS = 4
QUICKLY_VERIFIED = 256 << 20  # bytes

Found = TypeVar("Found")

DTYPES: dict[str, np.dtype[Any]] = {
    "offsets": np.dtype("<i8"),  # [vocab_size + 1] where each term's postings begin
    "id_offsets": np.dtype("<i8"),  # [n_docs + 1] where each document's id begins
    "id_text": np.dtype("u1"),  # the ids in UTF-8, one after the other
    "id_hashes": np.dtype("<u8"),  # [n_docs] in an index sorted, in a segment in document order
    "id_order": np.dtype("<i4"),  # [n_docs] the document of each sorted hash; not in a segment
}


class CorruptIndexError(InputError):
    """A stored index with a fault: cut short, changed, mixed up, or of a newer version."""


class Table(NamedTuple):
    """The content of a folder: its header without the technical part, and its arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class ArrayWriter:
    """Appends to one array on disk while its checksums are taken; as a context, closes the file.

    After the context, ``entry`` is the array's line in the header.
    """

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any]) -> None:
        self.dtype, self.length = dtype, 0
        self._checksums: list[int] = []
        self._stream = (folder / f"{name}.bin").open("wb", buffering=LARGE_PAGE)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stream.close()
        except OSError:  # what is left in the buffer does not fit either: the first error tells why
            if error is None:
                raise

    @property
    def entry(self) -> dict[str, Any]:
        """Dtype, length in elements, and checksums."""
        return {"dtype": self.dtype.str, "length": self.length, "crc32": self._checksums}

    def flush(self) -> None:
        """Hand the written bytes to the operating system."""
        self._stream.flush()

    def write(self, array: NDArray[Any]) -> None:
        """Append the elements of a flat array."""
        exact = np.ascontiguousarray(array, self.dtype)
        octets, at = exact.view(np.uint8), self.length * self.dtype.itemsize
        while octets.size:
            if at % PIECE == 0:
                self._checksums.append(0)
            size = min(octets.size, PIECE - at % PIECE)
            if at % LARGE_PAGE:  # first the page that is begun, then all whole ones at once, then what is left
                size = min(size, LARGE_PAGE - at % LARGE_PAGE)
            elif size > LARGE_PAGE:
                size -= size % LARGE_PAGE
            part, octets = octets[:size], octets[size:]
            self._stream.write(part.data)
            self._checksums[-1] = zlib.crc32(part.data, self._checksums[-1])
            at += size
        self.length += exact.size


class TableWriter:
    """Appends to any number of arrays in ``folder``, each begun when its name is first written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._writers: dict[str, ArrayWriter] = {}

    def __enter__(self) -> "TableWriter":
        self._stack.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The lines of the header."""
        return {name: writer.entry for name, writer in self._writers.items()}

    def mapped(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that were written so far, memory-mapped read-only."""
        for writer in self._writers.values():
            writer.flush()
        return {name: map_array(self._folder, name, entry) for name, entry in self.entries.items()}

    def write(self, name: str, array: NDArray[Any]) -> None:
        """Append the elements of a flat array to the array ``name``."""
        if name not in self._writers:
            writer = ArrayWriter(self._folder, name, array.dtype.newbyteorder("<"))
            self._writers[name] = self._stack.enter_context(writer)
        self._writers[name].write(array)


def write_table(folder: Path, kind: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write whole arrays and their header into an existing, empty folder."""
    with TableWriter(folder) as table:
        for name, array in arrays.items():
            table.write(name, array)
    write_header(folder, kind, header, table.entries)


def write_header(folder: Path, kind: str, header: Mapping[str, Any], entries: Mapping[str, dict[str, Any]]) -> None:
    """Write the header over arrays that stand in ``folder``; with it the table is complete."""
    full = {"magic": MAGIC, "format_version": FORMAT_VERSION, "kind": kind, **dict(sorted(header.items()))}
    full["arrays"] = dict(sorted(entries.items()))
    write_json(folder / HEADER, full | {"checksum": _checksum(full)})


def read_table(folder: Path, kind: str, *, verify: bool | None) -> Table:
    """The table in ``folder``, its arrays memory-mapped read-only.

    The header and the size of every file are always checked, the contents if ``verify``. None checks contents of
    up to 256 MiB, which takes a fraction of a second. CorruptIndexError names the file, the expected value and
    the one found.
    """
    header = _read_header(folder, kind)
    entries = header.pop("arrays")
    arrays = {name: map_array(folder, name, entry) for name, entry in entries.items()}
    if verify or (verify is None and sum(array.nbytes for array in arrays.values()) <= QUICKLY_VERIFIED):
        _verify(folder, entries, arrays)
    return Table(header, arrays)


def read_steady(state: Callable[[], Any], read: Callable[[], Found]) -> Found:
    """Return the result of ``read`` on files that a writer may replace meanwhile: all of one state, old or new.

    ``state`` tells one state of them from another. Where it changed while they were read, they are read again, and
    what they seemed to lack is not told.
    """
    while True:
        before = state()
        try:
            found = read()
        except (InputError, OSError):
            if state() == before:
                raise
            continue
        if state() == before:
            return found


def octets_of(path: Path) -> bytes | None:
    """The contents of a small file; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def disk_errors(path: Path, remedy: str) -> Iterator[None]:
    """Turn an operating system's refusal to write into an InputError that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else f"{error.strerror or error}"
        where = f" ({error.filename})" if error.filename else ""
        raise InputError(f"{path}: cannot write the index, {reason}{where}. {remedy}") from error


def _read_header(folder: Path, kind: str) -> dict[str, Any]:
    path = folder / HEADER
    try:
        header = read_json(path)
    except FileNotFoundError as error:
        raise CorruptIndexError(
            f"{path}: this file is missing, so {folder} is not a whole {kind}. Build the index again"
        ) from error
    except InputError as error:
        raise CorruptIndexError(f"{error}. The index is damaged: build it again") from error
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise CorruptIndexError(
            f"{path}: not the header of a splade index (its 'magic' is not {MAGIC!r}). Build the index again"
        )
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise CorruptIndexError(
            f"{path}: index format {version}, but this version of splade reads format {FORMAT_VERSION}. "
            "Build the index again, or search it with the version that wrote it"
        )
    stated = header.pop("checksum", None)
    if stated != _checksum(header):
        raise CorruptIndexError(
            f"{path}: checksum {stated} is stated, {_checksum(header)} found: the header was changed after it was "
            "written. Build the index again"
        )
    if header["kind"] != kind:
        raise CorruptIndexError(f"{path}: holds a {header['kind']}, expected a {kind}")
    return {name: value for name, value in header.items() if name not in ("magic", "format_version", "kind")}


def map_array(folder: Path, name: str, entry: dict[str, Any]) -> NDArray[Any]:
    """The array ``name`` in ``folder``, memory-mapped read-only, if its file has the size that the entry says."""
    path = folder / f"{name}.bin"
    dtype, length = np.dtype(entry["dtype"]), int(entry["length"])
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise CorruptIndexError(f"{path}: this file is missing. Build the index again") from error
    if found != length * dtype.itemsize:
        raise CorruptIndexError(
            f"{path}: {length * dtype.itemsize} bytes expected, {found} found: the file is cut short or was "
            "changed. Copy it again from its source, or build the index again"
        )
    if length == 0:  # nothing to map
        return np.empty(0, dtype)
    array = np.memmap(path, dtype, "r", shape=(length,)).view(np.ndarray)
    if found >= LARGE_PAGE:
        _advise(array, "MADV_HUGEPAGE")
    return array


def forget_pages(arrays: Iterable[NDArray[Any]]) -> None:
    """Release all pages of mapped arrays; later reads come from the system's cache."""
    for array in arrays:
        _advise(array, "MADV_DONTNEED")


def _advise(array: NDArray[Any], advice: str) -> None:
    """Tell the system how a mapped array is used, by a name of `mmap`, where it has that kind of advice."""
    mapped, code = getattr(array.base, "_mmap", None), getattr(mmap, advice, None)
    if mapped is not None and code is not None:
        with suppress(OSError):  # a system without large pages
            mapped.madvise(code)


def _verify(folder: Path, entries: Mapping[str, dict[str, Any]], arrays: Mapping[str, NDArray[Any]]) -> None:
    pieces = [
        (name, number, arrays[name].view(np.uint8)[number * PIECE : (number + 1) * PIECE], expected)
        for name, entry in entries.items()
        for number, expected in enumerate(entry["crc32"])
    ]
    with ThreadPoolExecutor(PARALLEL_CHECKS) as pool:
        found = pool.map(lambda piece: zlib.crc32(piece[2].data), pieces)
        for (name, number, _, expected), actual in zip(pieces, found, strict=True):
            if actual != expected:
                raise CorruptIndexError(
                    f"{folder / f'{name}.bin'}: checksum {actual:08x} found in the 64 MiB from byte {number * PIECE}, "
                    f"{expected:08x} expected: the file was changed after it was written. Copy it again from its "
                    "source, or build the index again"
                )


def _checksum(header: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(header, sort_keys=True).encode())
