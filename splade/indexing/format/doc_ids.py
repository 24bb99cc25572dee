"""String ids of documents as flat arrays: millions of them without a Python object each."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.files import InputError
from splade.kernels.faults import LARGEST
from splade.kernels.ids import hash_ids

Packed = tuple[NDArray[np.uint8], NDArray[np.int64]]  # what `pack` makes


class Ids(Sequence[str]):
    """Ids by document number, many at a time through `take`."""

    @overload
    def __getitem__(self, doc: int) -> str: ...

    @overload
    def __getitem__(self, doc: slice) -> list[str]: ...

    def __getitem__(self, doc: int | slice) -> str | list[str]:
        """The id of document number ``doc`` (negative: from the end), or a list of them for a slice."""
        if isinstance(doc, slice):
            return self.take(np.arange(len(self))[doc])
        if not -len(self) <= doc < len(self):
            raise IndexError(f"document number {doc} of {len(self)} documents")
        return self.take([doc % len(self)])[0]

    @abstractmethod
    def take(self, docs: ArrayLike) -> list[str]:
        """The ids of document numbers, each in [0, len)."""


class DocIds(Ids):
    """The ids by document number, and document numbers by id.

    UTF-8 bytes one after the other, where each id begins, and the hashes in increasing order with
    the document of each: 20 bytes per document and the text, memory-mapped where they are stored.
    """

    def __init__(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        order: NDArray[np.int32],
    ) -> None:
        self.text, self.offsets, self.hashes, self.order = text, offsets, hashes, order

    @classmethod
    def from_strings(cls, ids: Sequence[str]) -> "DocIds":
        """The table of ``ids``; InputError if two are equal."""
        text, offsets = pack(ids)
        return cls.from_packed(text, offsets, hash_ids(text, offsets))

    @classmethod
    def from_packed(cls, text: NDArray[np.uint8], offsets: NDArray[np.int64], hashes: NDArray[np.uint64]) -> "DocIds":
        """The table of packed ids with their hashes in document order; InputError if two are equal."""
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        table = cls(text, offsets, hashes[order], order)
        table._refuse_duplicates()
        return table

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "DocIds":
        """The table whose arrays have these names in storage."""
        return cls(arrays["id_text"], arrays["id_offsets"], arrays["id_hashes"], arrays["id_order"])

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays under their names in storage."""
        return {"id_text": self.text, "id_offsets": self.offsets, "id_hashes": self.hashes, "id_order": self.order}

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 65536):
            yield from self.take(np.arange(start, min(start + 65536, len(self))))

    def take(self, docs: ArrayLike) -> list[str]:
        """The ids of document numbers, each in [0, len)."""
        numbers = np.asarray(docs, np.int64)
        text = self.text.data
        begins, ends = self.offsets[numbers].tolist(), self.offsets[numbers + 1].tolist()
        return [str(text[begin:end], "utf-8") for begin, end in zip(begins, ends, strict=True)]

    def numbers(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """The document numbers of ``ids``; -1 where there is no such document."""
        wanted = hash_ids(*pack(ids))
        found = np.full(len(ids), -1, np.int32)
        places = np.searchsorted(self.hashes, wanted)
        asked = np.arange(len(ids))
        while True:  # a second round only where different ids share a hash
            inside = places < len(self)
            asked, places = asked[inside], places[inside]
            same = self.hashes[places] == wanted[asked]
            asked, places = asked[same], places[same]
            if not asked.size:
                return found
            docs = self.order[places]
            equal = np.array([name == ids[i] for name, i in zip(self.take(docs), asked.tolist(), strict=True)], bool)
            found[asked[equal]] = docs[equal]
            asked, places = asked[~equal], places[~equal] + 1

    def _refuse_duplicates(self) -> None:
        twins = np.flatnonzero(self.hashes[1:] == self.hashes[:-1])
        docs = np.unique(self.order[np.union1d(twins, twins + 1)])
        seen: dict[str, int] = {}
        for doc, identifier in zip(docs.tolist(), self.take(docs), strict=True):
            if identifier in seen:
                raise InputError(
                    f"document id {identifier!r} occurs twice, as document {seen[identifier]} and {doc} (from 0): "
                    "every id must be unique. Remove or rename one of them in the collection"
                )
            seen[identifier] = doc


def pack(ids: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The UTF-8 bytes of ``ids`` one after the other, and where each begins: uint8, int64 [n + 1]."""
    encoded = []
    for identifier in ids:
        if not isinstance(identifier, str):
            raise TypeError(f"document ids are strings, got {identifier!r} of type {type(identifier).__name__}")
        try:
            encoded.append(identifier.encode())
        except UnicodeEncodeError as error:
            raise InputError(f"document id {identifier!r} cannot be written as UTF-8: {error.reason}") from error
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def joined(parts: Sequence[Packed]) -> Packed:
    """Packed ids one after the other."""
    starts = np.cumsum([0, *(len(text) for text, _ in parts)])
    moved = [offsets[1:] + start for (_, offsets), start in zip(parts, starts, strict=False)]
    return (
        np.concatenate([np.zeros(0, np.uint8), *(text for text, _ in parts)]),
        np.concatenate([np.zeros(1, np.int64), *moved]),
    )


def refuse_too_many(n_docs: int) -> None:
    """InputError where document numbers would not fit into int32."""
    if n_docs > LARGEST:
        raise InputError(f"an index holds at most {LARGEST} documents, got {n_docs}: split the collection")
