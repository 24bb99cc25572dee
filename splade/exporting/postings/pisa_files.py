"""Files of PISA: an inverted index that is not compressed yet, and lexicons.

A *binary sequence* is its length and its numbers, 32 bits each, the lowest byte first. A *lexicon* is the number of its
strings, where each begins and the last ends, 64 bits each, and the strings one after the other.
The formats are those of https://pisa-engine.github.io/pisa/book.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.exporting.postings.transposed import Postings
from splade.files import InputError, not_utf8, whole_file

DOCS, FREQS, SIZES = "inv.docs", "inv.freqs", "inv.sizes"
TERMS, TERM_LEXICON, DOCUMENTS, DOCUMENT_LEXICON = "fwd.terms", "fwd.termlex", "fwd.documents", "fwd.doclex"
FILES = (DOCS, FREQS, SIZES, TERMS, TERM_LEXICON, DOCUMENTS, DOCUMENT_LEXICON)
NUMBER, PLACE = np.dtype("<u4"), np.dtype("<u8")
LARGEST = 2**32 - 1


class Collection(NamedTuple):
    """The names in PISA's order: a term's number is its line, as is a document's."""

    terms: list[str]
    documents: list[str]


def write_collection(folder: Path, postings: Postings, words: Sequence[str]) -> None:
    """Write the files of a collection, each whole or absent; ``words`` are the terms by number.

    Terms are put in the order of their UTF-8 bytes, as PISA looks them up; terms without postings, which it refuses,
    are left out. InputError for an id with a line end, and where a document's impacts add up to more than 32 bits.
    """
    if postings.lengths.max(initial=0) > LARGEST:
        raise InputError(f"the impacts of a document add up to {postings.lengths.max()}, over {LARGEST}")
    terms = [term for term in sorted(range(len(words)), key=words.__getitem__) if postings.sizes[term]]
    ids = postings.ids(0, postings.n_docs)
    for doc_id in ids:
        if "\n" in doc_id:
            raise InputError(f"the document id {doc_id!r} has a line end; {DOCUMENTS} has one a line. Rename it")
    with ExitStack() as stack:
        files = {name: stack.enter_context(whole_file(folder / name, "wb")) for name in FILES}
        files[DOCS].write(sequence(np.array([postings.n_docs])))
        for one in postings.lists(terms):
            files[DOCS].write(sequence(one.docs))
            files[FREQS].write(sequence(one.impacts))
        files[SIZES].write(sequence(postings.lengths))
        for names, lines, lexicon in (
            ([words[term] for term in terms], TERMS, TERM_LEXICON),
            (ids, DOCUMENTS, DOCUMENT_LEXICON),
        ):
            files[lines].writelines(f"{name}\n".encode() for name in names)
            files[lexicon].write(lexicon_of(names))


def sequence(numbers: NDArray[np.integer]) -> bytes:
    """A binary sequence."""
    return np.concatenate([[len(numbers)], numbers]).astype(NUMBER).tobytes()


def lexicon_of(names: Sequence[str]) -> bytes:
    """A lexicon of strings, in the order given."""
    encoded = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, encoded)])
    return np.concatenate([[len(encoded)], ends]).astype(PLACE).tobytes() + b"".join(encoded)


def read_lines(path: Path) -> list[str]:
    """The lines of a file of names; InputError where it is absent or not UTF-8."""
    try:
        return _there(path).read_bytes().decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {not_utf8(error, f'byte {error.start}')}") from error


def read_names(folder: Path) -> Collection:
    """The terms and documents of a collection; InputError where a lexicon has others, or terms are not in order."""
    found = []
    for lines, lexicon in ((TERMS, TERM_LEXICON), (DOCUMENTS, DOCUMENT_LEXICON)):
        names = read_lines(folder / lines)
        if _there(folder / lexicon).read_bytes() != lexicon_of(names):
            raise InputError(f"{folder / lexicon}: not the lexicon of {lines}. Export again")
        found.append(names)
    terms, documents = found
    for number, (one, other) in enumerate(pairwise(terms), 2):
        if one >= other:
            raise InputError.at(folder / TERMS, number, f"{other!r} comes after {one!r}: terms must be in order")
    return Collection(terms, documents)


def read_postings(folder: Path, names: Collection) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Documents and impacts of each term; InputError where files do not fit together, or PISA would refuse them."""
    docs, freqs, sizes = (_numbers(folder / name) for name in (DOCS, FREQS, SIZES))
    n_docs = len(names.documents)
    if docs[:2].tolist() != [1, n_docs] or sizes[:1].tolist() != [n_docs] or len(sizes) != n_docs + 1:
        raise InputError(f"{folder / DOCS}, {folder / SIZES}: not of the {n_docs} documents of {DOCUMENTS}")
    at = 2
    for term in names.terms:
        length = int(docs[at]) if at < len(docs) else 0
        part = slice(at + 1, at + 1 + length)
        own, impacts = docs[part].astype(np.int64), freqs[at - 2 : at - 1 + length].astype(np.int64)
        rising = length > 0 and len(own) == length and bool((np.diff(own) > 0).all()) and own[-1] < n_docs
        if not rising or len(impacts) != length + 1 or impacts[0] != length or impacts[1:].min() < 1:
            raise InputError(f"{folder / DOCS}: at byte {4 * at}: no postings of {term!r}. Export again")
        yield own.astype(np.int32), impacts[1:]
        at += 1 + length
    if at != len(docs) or at - 2 != len(freqs):
        raise InputError(f"{folder / DOCS}: goes on after the last term of {TERMS}. Export again")


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file, though the manifest says that it was written. Export again")
    return path


def _numbers(path: Path) -> NDArray[np.uint32]:
    if _there(path).stat().st_size % NUMBER.itemsize:
        raise InputError(f"{path}: its size is no multiple of {NUMBER.itemsize} bytes. Export again")
    return np.memmap(path, NUMBER, "r") if path.stat().st_size else np.zeros(0, NUMBER)
