"""Lines of many texts in one file or several, packed or not: written whole, gone on with, read back."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, NamedTuple

from splade.files import InputError, text_lines, whole_file
from splade.files.strict_json import JsonError, parse_json


class Layout(NamedTuple):
    """The division of lines into files; each target takes these two as arguments.

    ``shard_docs`` is the number of documents in a file, null for one file of all. Each file is packed where ``gzip``
    is set. InputError for a number below 1, by `checked`.
    """

    shard_docs: int | None = None
    gzip: bool = False

    def checked(self) -> "Layout":
        """Itself; InputError where a value is out of range."""
        if self.shard_docs is not None and (isinstance(self.shard_docs, bool) or self.shard_docs < 1):
            raise InputError(f"export.shard_docs={self.shard_docs}: expected null, or a number of at least 1")
        return self

    def name(self, stem: str, ending: str, number: int) -> str:
        """The name of file ``number``: ``docs.jsonl``, ``docs-00002.jsonl.gz``."""
        shard = "" if self.shard_docs is None else f"-{number:05}"
        return f"{stem}{shard}{ending}{'.gz' if self.gzip else ''}"

    def write(
        self,
        folder: Path,
        stem: str,
        ending: str,
        texts: Iterable[Any],
        lines: Callable[[Any], Iterable[str]],
        resuming: bool = False,
    ) -> int:
        """Write what ``lines`` makes of each of ``texts``, line ends added; the number of texts. As `write_files`."""

        def content(own: Iterator[Any]) -> Iterator[str]:
            return (f"{line}\n" for text in own for line in lines(text))

        return self.write_files(folder, stem, ending, texts, content, resuming)

    def write_files(
        self,
        folder: Path,
        stem: str,
        ending: str,
        texts: Iterable[Any],
        content: Callable[[Iterator[Any]], Iterable[str]],
        resuming: bool = False,
    ) -> int:
        """Write what ``content`` makes of the texts of each file, all of which it takes; the number of texts.

        Where ``resuming``, a file that is in ``folder`` already was written from the same texts: they are passed over,
        and nothing is made of them.
        """
        n_texts, coming = 0, iter(texts)
        for number in count():
            first = next(coming, None)
            if first is None and number:
                break
            own = chain(() if first is None else (first,), coming if self.shard_docs is None else _some(coming, self))
            path, counted = folder / self.name(stem, ending, number), count()
            passing = (text for text, _ in zip(own, counted, strict=False))
            if resuming and path.is_file():
                deque(passing, 0)
            else:
                with whole_file(path) as stream:
                    stream.writelines(content(passing))
            n_texts += next(counted)
            if self.shard_docs is None:
                break
        return n_texts

    def read(self, folder: Path, stem: str, ending: str) -> Iterator[tuple[Path, int, str]]:
        """File, line number (from 1) and line, of all files that `write` wrote; InputError where there are none."""
        path = folder / self.name(stem, ending, 0)
        if not path.is_file():
            raise InputError(f"{path}: no such file, though the manifest says that it was written. Export again")
        number = 0
        while path.is_file():
            yield from ((path, line, text) for line, text in text_lines(path))
            number += 1
            if self.shard_docs is None:
                break
            path = folder / self.name(stem, ending, number)


def json_line(value: Any) -> str:
    """``value`` as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parse_line(path: Path, line: int, text: str, keys: Sequence[str]) -> dict[str, Any]:
    """The object of a line; InputError with file and line where it is none, or lacks one of ``keys``."""
    try:
        record = parse_json(text)
    except JsonError as error:
        raise InputError.at(path, line, str(error)) from error
    missing = [key for key in keys if not isinstance(record, dict) or key not in record]
    if missing:
        raise InputError.at(path, line, f"no {missing[0]!r}; expected an object with {', '.join(keys)}")
    return dict(record)


def _some(coming: Iterator[Any], layout: Layout) -> Iterator[Any]:
    assert layout.shard_docs is not None
    return islice(coming, layout.shard_docs - 1)
