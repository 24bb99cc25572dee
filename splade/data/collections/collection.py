"""A collection as the rest of the package sees it: texts with ids, in order or one by one."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.text_files.formats import TITLE_TEXT
from splade.files import InputError
from splade.records import Text

logger = logging.getLogger(__name__)


def collection_state(collection: "Collection") -> dict[str, Any]:
    """Describe the present state of a collection's file, to notice changes: path, size, time of change.

    Titles that are not read are part of it.
    """
    state: dict[str, Any] = {"collection": str(collection.source)} | file_state(collection.source)
    return state if collection.titles == TITLE_TEXT else state | {"titles": collection.titles}


def file_state(path: str | Path) -> dict[str, Any]:
    """Size and time of change of a file; empty for what is none."""
    path = Path(path)
    return {"bytes": path.stat().st_size, "modified_ns": path.stat().st_mtime_ns} if path.is_file() else {}


class Collection(ABC):
    """Texts with unique string ids in a fixed order; the number of a text is its place in it, from 0."""

    source: str
    """The file or the ir_datasets id that the texts come from."""
    titles: str = TITLE_TEXT
    """The way with documents' titles, as of :data:`splade.data.text_files.formats.TITLES`."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the texts; the first call reads (and checks) all of them."""

    @abstractmethod
    def iterate(self, start: int = 0) -> Iterator[Text]:
        """The texts in order, from number ``start``."""

    @abstractmethod
    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The number of each id, −1 where it is unknown."""

    @abstractmethod
    def at(self, number: int) -> Text:
        """The text with this number; IndexError where there is none."""

    def title_of(self, number: int) -> str:  # noqa: ARG002 - for collections that have titles
        """The title that the text with this number begins with; "" where it has none of its own."""
        return ""

    def __iter__(self) -> Iterator[Text]:
        return self.iterate()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and bool(self.find([id])[0] >= 0)

    def __getitem__(self, id: str) -> str:
        return self.texts([id])[0]

    def texts(self, ids: Sequence[str]) -> list[str]:
        """The text of each id; InputError names the first that is unknown."""
        found: list[str] = []
        for id, number in zip(ids, self.find(ids).tolist(), strict=True):
            text = self.at(number) if number >= 0 else None
            if text is None or text.id != id:
                raise InputError(f"{self.source}: no text has the id {id!r}")
            found.append(text.text)
        return found


class Selection(Collection):
    """Some of the texts of a collection, in its order. Memory: 8 bytes each."""

    def __init__(self, base: Collection, ids: Iterable[str]) -> None:
        wanted = list(ids)
        numbers = base.find(wanted)
        self.base, self.source = base, base.source
        self._numbers = np.unique(numbers[numbers >= 0])
        if not self._numbers.size:
            raise InputError(f"{base.source}: has none of the {len(wanted)} ids asked for, as {wanted[:1]}")
        if (missing := np.flatnonzero(numbers < 0)).size:
            logger.warning(
                "%s: %d of %d ids asked for are unknown, as %r", base.source, missing.size, len(wanted),
                wanted[missing[0]],
            )  # fmt: skip

    def __len__(self) -> int:
        return self._numbers.size

    def iterate(self, start: int = 0) -> Iterator[Text]:
        for number in self._numbers[start:].tolist():
            yield self.base.at(number)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        numbers = self.base.find(ids)
        slots = np.minimum(np.searchsorted(self._numbers, numbers), len(self) - 1)
        return np.where((self._numbers[slots] == numbers) & (numbers >= 0), slots, -1)

    def at(self, number: int) -> Text:
        if not 0 <= number < len(self):
            raise IndexError(f"{self.source}: no text has number {number}; there are {len(self)}")
        return self.base.at(int(self._numbers[number]))

    def title_of(self, number: int) -> str:
        return self.base.title_of(int(self._numbers[number]))
