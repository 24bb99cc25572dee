"""A model with the index that it searches, and the index's replacement on disk while requests are answered."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from splade.data.collections.collection import Collection
from splade.engines.bm25 import OpenedBm25
from splade.engines.inverted import OpenedInverted
from splade.engines.protocol import Kind, Opened, Queries
from splade.files import InputError
from splade.records import SparseBatch, SparseRows
from splade.search import Searcher
from splade.serving.sides import Sides

logger = logging.getLogger(__name__)

SEARCHERS = 16  # kept for one index: strategies that requests ask for


class Asking(Protocol):
    """Makes the queries of one index of the vectors of an encoder."""

    fingerprint: str

    def in_terms(self, batch: SparseBatch) -> Queries:
        """``batch`` in the terms of the index."""


class Parts(NamedTuple):
    """An index as it was opened, and what goes with it."""

    opened: Opened
    asking: Asking | None  # None: the engine takes texts
    texts: Collection | None  # the documents' texts, where they are at hand


class Standing:
    """One state of an index; requests hold it until they are answered, whatever replaces it."""

    def __init__(self, parts: Parts, generation: int) -> None:
        self.opened, self.asking, self.texts = parts
        self.generation = generation
        self._searchers: OrderedDict[tuple[str, float | None], Searcher] = OrderedDict()
        self._lock, self.alone = threading.Lock(), threading.Lock()

    @property
    def inverted(self) -> OpenedInverted | None:
        """The inverted index of ours below the engine; None for other places."""
        inner = self.opened.opened if isinstance(self.opened, OpenedBm25) else self.opened
        return inner if isinstance(inner, OpenedInverted) else None

    @cached_property
    def names(self) -> list[str]:
        """The name of every term, by number."""
        width, vocabulary = self.opened.vocab_size, self.opened.vocabulary
        known = [] if vocabulary is None else list(vocabulary)[:width]
        return [*known, *(f"[term_{term}]" for term in range(len(known), width))]

    def searcher(self, strategy: str | None, recall: float | None) -> Searcher | None:
        """The searcher of a strategy, the configured one by default; None for other places than inverted indexes."""
        inner = self.inverted
        if inner is None or (strategy is None and recall is None):
            return None if inner is None else inner.searcher
        key = ("approximate" if strategy is None else strategy, recall)
        with self._lock:
            if key not in self._searchers:
                options = {} if recall is None else {"recall": recall}
                self._searchers[key] = Searcher(inner.index, strategy=key[0], **options)
            self._searchers.move_to_end(key)
            while len(self._searchers) > SEARCHERS:
                self._searchers.popitem(last=False)
            return self._searchers[key]


class System:
    """A model's ``sides`` and the index that ``open_parts`` opens; either may be missing.

    ``state()`` tells one state of the place on disk from any other; `refresh` opens the index again where it has
    changed, and a thread of `watch` asks for that. An index that cannot be opened, or that another encoder made,
    leaves the one before standing.
    """

    def __init__(
        self,
        name: str,
        sides: Sides | None,
        open_parts: Callable[[], Parts] | None = None,
        state: Callable[[], Any] = lambda: None,
        *,
        kind: Kind = "sparse",
        engine: str = "",
        place: Path | None = None,
    ) -> None:
        self.name, self.sides, self.kind, self.engine, self.place = name, sides, kind, engine, place
        self._open, self._state = open_parts, state
        self._refreshing, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""
        self.standing: Standing | None = None
        if open_parts is not None:
            self._seen = state()
            self.standing = warmed(Standing(open_parts(), 1))

    def refresh(self) -> bool:
        """Open the index again if it has changed on disk; True where another one stands now."""
        with self._refreshing:
            if self._open is None or self.standing is None:
                return False
            state = self._state()
            if state == self._seen:
                return False
            try:
                parts = self._open()
            except (InputError, OSError) as error:
                if self.problem != str(error):
                    logger.warning("%s has changed and cannot be taken over: %s", self.place, error)
                self.problem = str(error)
                return False
            self._seen, self.problem = state, ""
            self.standing = warmed(Standing(parts, self.standing.generation + 1))
            logger.info("%s: taken over, %d documents", self.place, parts.opened.n_docs)
            return True

    def watch(self, seconds: float) -> None:
        """Look for changes every so many seconds, on a thread that ends with `close`."""

        def look() -> None:
            while not self._ended.wait(seconds):
                self.refresh()

        if self._open is not None:
            self._thread = threading.Thread(target=look, name="takes over", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Answer what waits, and stop."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self.sides is not None:
            self.sides.close()


def warmed(standing: Standing) -> Standing:
    """``standing`` after searches that nobody waits for: what is compiled or read first is there for those that do.

    One is of a whole document, one of its first terms: short and long queries may be searched in different ways.
    """
    inner = standing.inverted
    if inner is not None and inner.n_docs:
        offsets, columns, weights = inner.index.vectors([0])
        for n_terms in (len(columns), min(len(columns), 5)):
            rows = SparseRows(np.minimum(offsets, n_terms), columns[:n_terms], weights[:n_terms])
            queries = Queries(SparseBatch(("0",), rows, inner.vocab_size))
            list(inner.search(queries, min(10, inner.n_docs)))
    return standing


def folder_state(folder: Path | None) -> tuple[Any, ...]:
    """Names, sizes and times of the files in ``folder`` and in its own folders; what replaces one changes them."""
    return tuple(sorted(_states(folder))) if folder is not None else ()


def _states(folder: Path) -> Iterator[tuple[Any, ...]]:
    for path in _files(folder, 2):
        try:
            about = path.stat()
        except OSError:  # it went while we looked
            continue
        yield str(path), about.st_ino, about.st_size, about.st_mtime_ns


def _files(folder: Path, depth: int) -> Sequence[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []
    found = [path for path in entries if path.is_file()]
    for path in entries if depth > 1 else []:
        if path.is_dir():
            found += _files(path, depth - 1)
    return found
