"""Collections in a format of the user's own: ``my_module.reader:PATH``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.files import InputError
from splade.files.dotted import is_dotted, located
from splade.records import Text


class Reader(Protocol):
    """Reads the texts of ``path``, the same ones in the same order each time it is called.

    A function that yields `Text`, for texts that fit into memory; or a subclass of `Collection`, made of the path, for
    more. `splade.conformance.check_reader` holds one to it.
    """

    def __call__(self, path: str, /) -> Iterable[Text]: ...


def own_collection(source: str) -> Collection | None:
    """The collection that ``source`` names as ``my_module.reader:PATH``; None where it names none so.

    InputError where the reader cannot be imported or does not read texts with ids of their own.
    """
    prefix, colon, path = source.partition(":")
    if not (colon and path and is_dotted(prefix)):
        return None
    reader: Any = located(prefix)
    if not callable(reader):
        raise InputError(f"{source}: {prefix} is a {type(reader).__name__}; a reader is a function or class of a path")
    if isinstance(reader, type) and issubclass(reader, Collection):
        made: Any = reader
        return cast(Collection, made(path))
    return ReadTexts(source, lambda: reader(path))


class ReadTexts(Collection):
    """The texts that a function yields. Streaming holds none; counting or finding them holds all."""

    def __init__(self, source: str, read: Callable[[], Iterable[Text]]) -> None:
        self.source, self._read = source, read
        self._texts: list[Text] | None = None
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all())

    def iterate(self, start: int = 0) -> Iterator[Text]:
        if self._texts is not None:
            return iter(self._texts[start:])
        return (text for number, text in enumerate(self._checked()) if number >= start)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        self._all()
        return np.array([self._numbers.get(id, -1) for id in ids], np.int64)

    def at(self, number: int) -> Text:
        if not 0 <= number < len(self):
            raise IndexError(f"{self.source}: no text has number {number}; there are {len(self)}")
        return self._all()[number]

    def _all(self) -> list[Text]:
        if self._texts is None:
            self._texts = list(self._checked())
            self._numbers = {text.id: number for number, text in enumerate(self._texts)}
        return self._texts

    def _checked(self) -> Iterator[Text]:
        """The texts as they are read; InputError names the first that is none, or has the id of another."""
        seen: set[str] = set()
        for number, text in enumerate(self._read(), 1):
            where = f"{self.source}: text {number}"
            if not isinstance(text, Text) or not isinstance(text.id, str) or not isinstance(text.text, str):
                raise InputError(f"{where} is {text!r}; a reader yields splade.records.Text(id, text), both strings")
            if text.id in seen:
                raise InputError(f"{where} has the id {text.id!r}, which another has; ids must be unique")
            seen.add(text.id)
            yield text
        if not seen:
            raise InputError(f"{self.source}: the reader found no texts")
