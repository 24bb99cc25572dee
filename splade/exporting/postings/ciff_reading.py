"""Files of the Common Index File Format, read back and checked: what an engine would refuse is an error here."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from splade.exporting.postings.ciff_writing import DOCUMENT, IMPACT, POSTING, Header
from splade.exporting.postings.varints import decode, sizes_of, varint
from splade.files import InputError, open_binary


class CiffReader:
    """Reads a CIFF file that `write_ciff` wrote, in order: `header`, then `lists`, then `records`.

    InputError with the byte at which something is wrong, or is nothing that `write_ciff` writes.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"{path}: no such file, though the manifest says that it was written. Export again")
        self.path, self.stream = path, open_binary(path)

    def __enter__(self) -> "CiffReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()

    def header(self) -> Header:
        """The counts; to be read first."""
        message = Message(self, self._message("the header"))
        found = {tag: message.varint() for tag in (0x08, 0x10, 0x18, 0x20, 0x28, 0x30) if message.has(tag)}
        if message.has(0x39):
            message.take(8)
        told = message.text() if message.has(0x42) else ""
        message.end()
        if found.get(0x08) != 1:
            message.fail(f"version {found.get(0x08, 0)}; expected 1")
        self._header = Header(found.get(0x10, 0), found.get(0x18, 0), found.get(0x30, 0), told)
        return self._header

    def lists(self) -> Iterator[tuple[str, NDArray[np.int32], NDArray[np.int64]]]:
        """Term, document numbers and impacts of every list."""
        before = ""
        for _ in range(self._header.n_lists):
            message = Message(self, self._message("a postings list"))
            word = message.text() if message.has(0x0A) else ""
            found = [message.varint() if message.has(tag) else 0 for tag in (0x10, 0x18)]
            docs, impacts = message.postings()
            if word <= before:
                message.fail(f"the term {word!r} comes after {before!r}; terms must be in order, each once")
            if found != [len(docs), int(impacts.sum())]:
                message.fail(f"{word!r} tells df and cf {found}, its postings {[len(docs), int(impacts.sum())]}")
            if len(docs) == 0 or (np.diff(docs) < 1).any() or docs[-1] >= self._header.n_docs or impacts.min() < 1:
                message.fail(f"the postings of {word!r} are not of increasing documents with impacts of at least 1")
            before = word
            yield word, docs.astype(np.int32), impacts

    def terms(self) -> list[str]:
        """The terms of all lists, whose postings are passed over; instead of `lists`."""
        found = []
        for _ in range(self._header.n_lists):
            size = self._length("a postings list")
            head = self.stream.read(1) if size else b""
            length = self._length("a term") if head == b"\x0a" else 0
            found.append(self.stream.read(length).decode())
            self.stream.seek(size - len(head) - (len(varint(length)) + length if head else 0), 1)
        return found

    def records(self) -> Iterator[tuple[str, int]]:
        """Id and length of every document."""
        for number in range(self._header.n_docs):
            message = Message(self, self._message("a document record"))
            found = message.varint() if message.has(0x08) else 0
            doc_id = message.text() if message.has(0x12) else ""
            length = message.varint() if message.has(0x18) else 0
            message.end()
            if found != number:
                message.fail(f"document {found} where document {number} must be")
            yield doc_id, length
        if self.stream.read(1):
            raise InputError(f"{self.path}: goes on after its {self._header.n_docs} documents. Export again")

    def _message(self, what: str) -> bytes:
        size = self._length(what)
        octets = self.stream.read(size)
        if len(octets) < size:
            raise InputError(f"{self.path}: ends within {what}. Export again")
        return octets

    def _length(self, what: str) -> int:
        size = shift = 0
        while True:
            octet = self.stream.read(1)
            if not octet:
                raise InputError(f"{self.path}: ends where {what} must be. Export again")
            size |= (octet[0] & 127) << shift
            if octet[0] < 128:
                return size
            shift += 7


class Message:
    """The bytes of a message, taken field by field."""

    def __init__(self, reader: CiffReader, octets: bytes) -> None:
        self.reader, self.octets, self.at = reader, octets, 0

    def has(self, tag: int) -> bool:
        """True where the next field has ``tag``, which is then passed over."""
        there = self.octets[self.at : self.at + 1] == bytes([tag])
        self.at += there
        return there

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if self.at + size > len(self.octets):
            self.fail("a field is cut off")
        self.at += size
        return self.octets[self.at - size : self.at]

    def varint(self) -> int:
        """The next number."""
        number = shift = 0
        while True:
            octet = self.take(1)[0]
            number |= (octet & 127) << shift
            if octet < 128:
                return number
            shift += 7

    def text(self) -> str:
        """The next string."""
        octets = self.take(self.varint())
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return self.fail(f"{octets!r} is not UTF-8")

    def postings(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Document numbers and impacts of all the rest; only the first number may be left out, being 0."""
        try:
            parts = decode(np.frombuffer(self.octets, np.uint8, offset=self.at))
        except ValueError as error:
            return self.fail(str(error))
        if len(parts) > 3 and parts[2] == IMPACT:  # document 0 is not written
            parts = np.insert(parts, 2, [DOCUMENT, 0])
            parts[1] += 2
        if len(parts) % 6:
            self.fail("these are no postings")
        tags, lengths, first, gaps, second, impacts = parts.reshape(-1, 6).T
        sizes = 2 + sizes_of(gaps) + sizes_of(impacts)
        if (tags != POSTING).any() or (first != DOCUMENT).any() or (second != IMPACT).any() or (lengths != sizes).any():
            self.fail("these are no postings")
        self.at = len(self.octets)
        return np.cumsum(gaps.astype(np.int64)), impacts.astype(np.int64)

    def end(self) -> None:
        """InputError where anything is left."""
        if self.at < len(self.octets):
            self.fail(f"a field that is not expected, of tag {self.octets[self.at]:#x}")

    def fail(self, problem: str) -> NoReturn:
        """InputError with the place in the file."""
        place = self.reader.stream.tell() - len(self.octets) + self.at
        raise InputError(f"{self.reader.path}: at byte {place}: {problem}. Export again")
