"""A text file, gzipped or not, as lines found by NumPy: streamed in chunks, or read at an offset.

Only ``\\n`` and ``\\r\\n`` end a line; every other character that Unicode calls a line break is text.
A gzip file is unpacked, once and to an unnamed temporary file, only when something reads it at an offset.
"""

import gzip
import os
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import BYTE_ORDER_MARK, InputError, is_gzip, not_utf8

BLOCK = 4 << 20  # bytes read at a time
LONGEST_LINE = 256 << 20  # bytes; beyond it the file is not made of lines


class Chunk(NamedTuple):
    """Some whole lines: line i is ``buffer[starts[i] : ends[i]]``, without its line end."""

    buffer: bytes
    starts: NDArray[np.int64]  # [lines]
    ends: NDArray[np.int64]  # [lines]
    offset: int  # of the buffer, in bytes of the unpacked file
    first_line: int  # from 1

    def head(self, n_lines: int) -> "Chunk":
        """The first ``n_lines`` lines; the chunk itself if it has no more."""
        if n_lines >= self.starts.size:
            return self
        ends = self.ends[:n_lines]
        return self._replace(buffer=self.buffer[: ends[-1]], starts=self.starts[:n_lines], ends=ends)

    def line(self, i: int) -> bytes:
        """The bytes of line i of this chunk."""
        return self.buffer[self.starts[i] : self.ends[i]]

    def lines(self) -> Iterator[bytes]:
        """The bytes of every line."""
        buffer = self.buffer
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            yield buffer[start:end]


class LineFile:
    """The lines of one file. Memory: one block, for a file of any size."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None
        self._packed: bool | None = None

    def chunks(self, offset: int = 0, first_line: int = 1) -> Iterator[Chunk]:
        """The file as chunks of whole, valid UTF-8 lines, from byte ``offset``, where ``first_line`` begins.

        Raises InputError with file and line: bytes that are not UTF-8, a damaged gzip file, an endless line.
        """
        rest: list[bytes] = []
        for block in self._blocks(offset, first_line):
            cut = block.rfind(b"\n") + 1
            if cut == 0:
                rest.append(block)
                if sum(map(len, rest)) > LONGEST_LINE:
                    raise InputError.at(self.path, first_line, "the line does not end; is this a text file?")
                continue
            chunk = self._chunk(b"".join([*rest, block[:cut]]), offset, first_line)
            rest = [block[cut:]]
            yield chunk
            offset += len(chunk.buffer)
            first_line += chunk.starts.size
        if last := b"".join(rest):
            yield self._chunk(last, offset, first_line)

    def read(self, start: int, stop: int) -> bytes:
        """The line that takes up the bytes ``start:stop`` of the unpacked file, without its line end."""
        descriptor = self._readable()
        raw = os.pread(descriptor, stop - start, start)
        while len(raw) < stop - start:
            more = os.pread(descriptor, stop - start - len(raw), start + len(raw))
            if not more:
                raise InputError(f"{self.path}: the file has become shorter while it was in use; start again")
            raw += more
        return raw.removesuffix(b"\n").removesuffix(b"\r")

    def _blocks(self, offset: int, first_line: int) -> Iterator[bytes]:
        if self._descriptor is None and self._is_packed():
            yield from self._unpacked_blocks(offset, first_line)
            return
        descriptor = self._readable()
        while block := os.pread(descriptor, BLOCK, offset):
            yield block
            offset += len(block)

    def _unpacked_blocks(self, offset: int, first_line: int) -> Iterator[bytes]:
        """Blocks of a gzip file; blocks before the damaged one are handed out before the error is raised."""
        line = first_line
        damage: Exception | None = None
        size = BLOCK
        with gzip.open(self.path, "rb") as stream:
            stream.seek(offset)
            while size >= BLOCK and damage is None:
                pieces: list[bytes] = []
                size = 0
                try:
                    while size < BLOCK and (piece := stream.read1(1 << 18)):
                        pieces.append(piece)
                        size += len(piece)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    damage = error
                block = b"".join(pieces)
                line += block.count(b"\n")
                if block:
                    yield block
        if damage is not None:
            raise InputError.at(self.path, line, f"damaged gzip file: {damage}") from damage

    def _readable(self) -> int:
        """A file descriptor of the plain bytes; opened, and unpacked if need be, at the first use."""
        if self._descriptor is None:
            descriptor = self._unpack() if self._is_packed() else os.open(self.path, os.O_RDONLY)
            self._descriptor = descriptor
            weakref.finalize(self, os.close, descriptor)
        return self._descriptor

    def _is_packed(self) -> bool:
        if self._packed is None:
            self._packed = is_gzip(self.path)
        return self._packed

    def _unpack(self) -> int:
        try:
            with tempfile.TemporaryFile() as unpacked:
                for block in self._unpacked_blocks(0, 1):
                    unpacked.write(block)
                unpacked.flush()
                return os.dup(unpacked.fileno())
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be unpacked into {tempfile.gettempdir()} ({error.strerror or error}); "
                "point TMPDIR at a folder with more room, or unpack the file yourself"
            ) from error

    def _chunk(self, buffer: bytes, offset: int, first_line: int) -> Chunk:
        characters = np.frombuffer(buffer, np.uint8)
        ends = np.flatnonzero(characters == ord("\n"))
        starts = np.concatenate([np.zeros(1, np.int64), ends + 1])
        if starts[-1] == len(buffer):
            starts = starts[:-1]
        else:
            ends = np.append(ends, len(buffer))
        if offset == 0 and buffer.startswith(BYTE_ORDER_MARK):
            starts[0] = len(BYTE_ORDER_MARK)
        # A chunk never begins within a line, so the byte before an end belongs to the same line or ends another.
        carriage = (ends > starts) & (characters[np.maximum(ends - 1, 0)] == ord("\r"))
        chunk = Chunk(buffer, starts, ends - carriage, offset, first_line)
        self._check_utf8(chunk)
        return chunk

    def _check_utf8(self, chunk: Chunk) -> None:
        try:
            chunk.buffer.decode("utf-8")
        except UnicodeDecodeError as error:
            i = max(int(np.searchsorted(chunk.starts, error.start, "right")) - 1, 0)
            where = error.start - int(chunk.starts[i]) + 1
            problem = not_utf8(error, f"byte {where} of the line", b"" if chunk.offset else chunk.buffer[:2])
            raise InputError.at(self.path, chunk.first_line + i, problem) from error
