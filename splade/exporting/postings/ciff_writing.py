"""Files of the Common Index File Format (CIFF): a header, a postings list for each term, a record for each document.

Each is a message of Protocol Buffers behind its length, and written as those write it: fields in order, 0 left out.
The format is that of https://github.com/osirrc/ciff. Postings tell by how much a document's number exceeds the one
before. Terms are in the order of their UTF-8 bytes.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.exporting.postings.transposed import PostingList, Postings
from splade.exporting.postings.varints import encode, sizes_of, varint
from splade.files import InputError

POSTINGS_AT_ONCE = 1 << 16  # that are made bytes of at a time: what fits into the cache
RECORDS_AT_ONCE = 1 << 16
POSTING, DOCUMENT, IMPACT = 0x22, 0x08, 0x10  # tags: field 4 of a list; fields 1 and 2 of a posting
LARGEST = 2**31 - 1


class Header(NamedTuple):
    """Counts of a CIFF file."""

    n_lists: int
    n_docs: int
    n_terms: int  # sum of all documents' lengths
    description: str


def write_ciff(stream: IO[bytes], postings: Postings, words: Sequence[str], description: str) -> None:
    """Write a whole file; ``words`` are the terms by number. InputError where a document's length is over 31 bits."""
    longest = int(postings.lengths.max(initial=0))
    if longest > LARGEST:
        (doc_id,) = postings.ids(int(postings.lengths.argmax()), int(postings.lengths.argmax()) + 1)
        raise InputError(f"document {doc_id!r}: its impacts add up to {longest}, over {LARGEST}. Give a smaller factor")
    n_lists = int((postings.sizes > 0).sum())
    header = Header(n_lists, postings.n_docs, int(postings.lengths.sum()), description)
    stream.write(_delimited(_header(header)))
    for group in _groups(postings.lists(sorted(range(len(words)), key=words.__getitem__))):
        _write_lists(stream, group, words)
    for start in range(0, postings.n_docs, RECORDS_AT_ONCE):
        stop = min(start + RECORDS_AT_ONCE, postings.n_docs)
        stream.write(records(start, postings.ids(start, stop), postings.lengths[start:stop]).tobytes())


def posting_octets(
    gaps: NDArray[np.integer], impacts: NDArray[np.integer]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The fields of postings one after the other, and the size of each [n].

    ``gaps`` [n] tell by how much a document's number exceeds the one before, ``impacts`` [n] are at least 1.
    """
    parts = np.empty((len(gaps), 6), np.uint64)
    there = gaps > 0
    parts[:, 0], parts[:, 2], parts[:, 4] = POSTING, DOCUMENT, IMPACT
    parts[:, 1] = 1 + sizes_of(impacts) + there * (1 + sizes_of(gaps))
    parts[:, 3], parts[:, 5] = gaps, impacts
    sizes = 2 + parts[:, 1].astype(np.int64)
    if there.all():
        return encode(parts.ravel()), sizes
    kept = np.ones(parts.shape, bool)
    kept[:, 2] = kept[:, 3] = there
    return encode(parts[kept]), sizes


def records(first: int, ids: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Records of the documents from number ``first`` on, each behind its length."""
    encoded = [text.encode() for text in ids]
    n, text_sizes = len(ids), np.array([len(text) for text in encoded], np.int64)
    numbers = np.arange(first, first + n, dtype=np.int64)
    tags = np.array([[DOCUMENT, 0, 0x12, 0]], np.uint64).repeat(n, 0)
    tags[:, 1], tags[:, 3] = numbers, text_sizes
    tails = np.array([[0x18, 0]], np.uint64).repeat(n, 0)
    tails[:, 1] = lengths
    in_head = np.stack([numbers > 0, numbers > 0, text_sizes > 0, text_sizes > 0], 1)
    in_tail = np.stack([lengths > 0, lengths > 0], 1)
    head_sizes = (sizes_of(tags) * in_head).sum(1)
    tail_sizes = (sizes_of(tails) * in_tail).sum(1)
    wholes = head_sizes + text_sizes + tail_sizes
    parts = [
        (sizes_of(wholes), encode(wholes)),
        (head_sizes, encode(tags[in_head])),
        (text_sizes, np.frombuffer(b"".join(encoded), np.uint8)),
        (tail_sizes, encode(tails[in_tail])),
    ]
    return _woven(parts)


def _woven(parts: Sequence[tuple[NDArray[np.int64], NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Of several sequences of pieces (their sizes [n], their bytes) the first piece of each, then the second …"""
    totals = np.sum([sizes for sizes, _ in parts], axis=0)
    octets = np.empty(int(totals.sum()), np.uint8)
    place = np.cumsum(totals) - totals
    for sizes, own in parts:
        starts = np.cumsum(sizes) - sizes
        octets[np.repeat(place - starts, sizes) + np.arange(len(own))] = own
        place = place + sizes
    return octets


def _header(header: Header) -> bytes:
    counts = (1, header.n_lists, header.n_docs, header.n_lists, header.n_docs, header.n_terms)
    fields = [varint(number << 3) + varint(count) for number, count in enumerate(counts, 1) if count]
    mean = header.n_terms / header.n_docs if header.n_docs else 0.0
    told = header.description.encode()
    return b"".join([*fields, b"\x39" + struct.pack("<d", mean) if mean else b"", b"\x42" + varint(len(told)) + told])


def _groups(lists: Iterable[PostingList]) -> Iterator[list[PostingList]]:
    """Lists of together about `POSTINGS_AT_ONCE` postings, or one of more."""
    held: list[PostingList] = []
    n = 0
    for one in lists:
        if held and n + len(one.docs) > POSTINGS_AT_ONCE:
            yield held
            held, n = [], 0
        held.append(one)
        n += len(one.docs)
    if held:
        yield held


def _write_lists(stream: IO[bytes], group: Sequence[PostingList], words: Sequence[str]) -> None:
    """Write postings lists; the length of each is known before its bytes are written."""
    docs = np.concatenate([one.docs for one in group]).astype(np.int64)
    impacts = np.concatenate([one.impacts for one in group])
    ends = np.cumsum([len(one.docs) for one in group])
    starts = np.concatenate([[0], ends[:-1]])
    gaps = np.diff(docs, prepend=0)
    gaps[starts] = docs[starts]
    pieces = range(0, len(docs), POSTINGS_AT_ONCE)
    made = [posting_octets(*(each[at : at + POSTINGS_AT_ONCE] for each in (gaps, impacts))) for at in pieces]
    octets = np.concatenate([own for own, _ in made]).tobytes()
    places = np.concatenate([[0], np.cumsum(np.concatenate([sizes for _, sizes in made]))])
    sums = np.add.reduceat(impacts, starts).tolist()
    for one, total, first, last in zip(group, sums, places[starts].tolist(), places[ends].tolist(), strict=True):
        text = words[one.term].encode()
        head = b"\x0a" + varint(len(text)) + text + b"\x10" + varint(len(one.docs)) + b"\x18" + varint(total)
        stream.write(varint(len(head) + last - first) + head)
        stream.write(memoryview(octets)[first:last])


def _delimited(message: bytes) -> bytes:
    return varint(len(message)) + message
