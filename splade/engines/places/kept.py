"""An engine made of a `Store`: ids, terms, ties and resumption are the same for every system."""

import json
import logging
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from splade.engines.places.ledger import STATE, Ledger, State, forget, places_noted, read_contents, read_state
from splade.engines.places.store import Found, Searching, Store
from splade.engines.protocol import Documents, Kind, Queries, refuse_other_kind, slice_of, unknown_in
from splade.files import InputError
from splade.indexing import Vocabulary
from splade.indexing.index.statistics import expected_flops
from splade.kernels.sparse import slice_rows, take_rows
from splade.locks import Lock
from splade.records import Ranking, SparseBatch, SparseRows

logger = logging.getLogger(__name__)

NOTED = 5000  # documents after which a build writes down how far it has come
TOGETHER = 64  # queries that are asked at a time where none is timed


class Kept:
    """Sparse vectors in another system, behind the protocol `Engine`; a class for each system makes its ``store``.

    ``folder`` is ``config.index_dir``: ``folder/<name>/`` has the ids, the terms and the fingerprint, and for embedded
    systems the vectors. A build puts documents in order, notes how far it has come, and goes on there. Documents go
    into a place of their own, which replaces the one before when it is complete.
    """

    takes: ClassVar[Kind] = "sparse"
    noted: int = NOTED

    def __init__(self, folder: str | Path | None, name: str) -> None:
        self.name = name
        self.folder = None if folder is None else Path(folder) / name

    def store(self, folder: Path) -> Store:
        """Return the system, whose own files, if it has any, are in ``folder``."""
        raise NotImplementedError

    @cached_property
    def _store(self) -> Store:
        """The system, one for all that is done with this object: some take long to open."""
        return self.store(self._folder)

    def build(self, documents: Documents) -> "OpenedKept":
        """Put ``documents`` there; as :meth:`splade.engines.protocol.Engine.build`.

        A kept build has the same settings of what is stored too. An interrupted build goes on after the documents that
        were noted; what it puts again is not there twice.
        """
        folder = self._folder
        if self.is_built(documents):
            opened = self.open()
            logger.info("%s holds these documents already: %d", folder, opened.n_docs)
            return opened
        lock = Lock(folder / "lock", "Wait for it, or stop it")
        try:
            return self._built(folder, documents)
        finally:
            lock.release()

    def open(self) -> "OpenedKept":
        """Open what is there; InputError where there is nothing, or the place has changed since."""
        folder = self._folder
        return OpenedKept(self.name, folder, read_state(folder), self._store)

    def exists(self) -> bool:
        """True where a complete build is noted in the folder."""
        return self.folder is not None and (self.folder / STATE).is_file()

    def is_built(self, documents: Documents) -> bool:
        """True where `build` would keep what is there."""
        if not self.exists():
            return False
        folder = self._folder
        try:
            state, store = read_state(folder), self._store
            same = (state.fingerprint, state.origin) == (documents.fingerprint, documents.origin)
            if not same or state.identity != store.identity():
                return False
            check_place(state, store)
        except InputError as error:
            logger.warning("%s; it is built again", error)
            return False
        return True

    def drop(self) -> None:
        """Remove the documents from the system and from the folder, also those of an interrupted build."""
        folder, store = self._folder, self._store
        lock = Lock(folder / "lock", "Wait for it, or stop it")
        try:
            places = places_noted(folder)
            if not places:
                read_state(folder)  # which says that there is nothing
            for place in places:
                store.drop(place)
            forget(folder)
        finally:
            lock.release()

    def places(self) -> list[str]:
        """The names of all places that the system has."""
        return self._store.places()

    @property
    def _folder(self) -> Path:
        if self.folder is None:
            raise InputError(f"engine={self.name} keeps ids and terms in a folder; set config.index_dir")
        return self.folder

    def _built(self, folder: Path, documents: Documents) -> "OpenedKept":
        store = self._store
        key = {"fingerprint": documents.fingerprint, "origin": documents.origin, "identity": store.identity()}
        key = json.loads(json.dumps(key))
        ledger = Ledger(folder, key, documents.vocabulary)
        before = read_state(folder) if (folder / STATE).is_file() else None
        self._begin(store, ledger, key, before)
        width = self._put_all(store, ledger, documents)
        store.finish(ledger.place)
        found = store.count(ledger.place)
        if found != ledger.n_full:
            store.drop(ledger.place)
            raise InputError(
                f"engine={self.name}: {ledger.place} has {found} documents after {ledger.n_full} with terms were put; "
                "something else writes there, or the system lost some. Run the same command again: it starts anew"
            )
        state = State(
            place=ledger.place,
            build=ledger.build,
            n_docs=ledger.n_docs,
            n_full=ledger.n_full,
            n_postings=int(ledger.counts.sum()),
            vocab_size=documents.vocab_size or max(width, len(ledger.counts), len(documents.vocabulary or ()), 1),
            fingerprint=documents.fingerprint,
            origin=key["origin"],
            identity=key["identity"],
        )
        ledger.complete(folder, state)
        if before is not None and before.place != state.place:
            store.drop(before.place)
        return OpenedKept(self.name, folder, state, store)

    def _begin(self, store: Store, ledger: Ledger, key: dict[str, Any], before: State | None) -> None:
        """Take up the place of an interrupted build, or make a new one."""
        if ledger.build and store.count(ledger.place) is not None:
            if ledger.n_noted:
                logger.info("engine=%s: continuing after %d documents", self.name, ledger.n_noted)
            return
        if ledger.place and (before is None or ledger.place != before.place):
            store.drop(ledger.place)  # of an interrupted build of other documents, or not whole any more
        digest = zlib.crc32(json.dumps(key, sort_keys=True).encode())
        build = f"{time.time_ns():x}"
        place = f"splade_{digest:08x}_{build}"  # no other's: two folders may have the same documents on one server
        ledger.start(place, build)
        store.create(place, {"build": build, "fingerprint": key["fingerprint"]})

    def _put_all(self, store: Store, ledger: Ledger, documents: Documents) -> int:
        """Put what is not there yet; the number of terms of the widest batch."""
        width = 0
        try:
            for batch in documents.batches(ledger.n_docs):
                refuse_other_kind(self, batch, SparseBatch)
                width = max(width, batch.vocab_size)
                for start in range(0, len(batch.ids), store.at_once):
                    part = slice_of(batch, start, start + store.at_once)
                    store.put(ledger.place, ledger.n_docs, part)
                    ledger.add(part.ids, np.diff(part.rows.offsets), part.rows.columns)
                    if ledger.n_docs - ledger.n_noted >= self.noted:
                        ledger.note()
        except KeyboardInterrupt as error:
            ledger.note()
            raise KeyboardInterrupt(
                f"indexing interrupted after {ledger.n_docs} documents; the same command continues there"
            ) from error
        except Exception:
            ledger.note()
            raise
        ledger.note()
        return width


class OpenedKept:
    """Documents of a `Kept` engine as the protocol `Opened` has them. The system is asked for at the first search."""

    takes: ClassVar[Kind] = "sparse"

    def __init__(self, name: str, folder: Path, state: State, store: Store) -> None:
        self.name, self.state, self.store = name, state, store
        self.path: Path | None = folder
        self.n_docs, self.vocab_size = state.n_docs, state.vocab_size
        self.fingerprint, self.metadata = state.fingerprint, state.origin
        self._contents = read_contents(folder, state.build)
        check_place(state, store)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms by number; None where their names are not known."""
        return self._contents.vocabulary

    @cached_property
    def searching(self) -> Searching:
        """The place, open for searching."""
        return self.store.open(self.state.place)

    def search(
        self,
        queries: Queries,
        k: int,
        *,
        n_threads: int = 1,
        threshold: float = 0.0,
        seconds: list[float] | None = None,
    ) -> Iterator[Ranking]:
        """As :meth:`splade.engines.protocol.Opened.search`; scores are those of the system.

        Where documents tie at rank ``k``, the system is asked for more, so that those with the smallest numbers come.
        With ``seconds``, queries are asked one by one by each thread, and the time includes the way there and back.
        """
        refuse_other_kind(self, queries.vectors, SparseBatch)
        most = self.searching.most
        if k < 1 or n_threads < 1:
            raise ValueError(f"k and n_threads must be at least 1, got k={k} and n_threads={n_threads}")
        if most is not None and min(k, self.n_docs) > most:
            raise InputError(f"config.search.top_k={k}: {self.name} returns at most {most} documents for a query")
        return self._rankings(queries.vectors, k, n_threads, threshold, seconds)

    def _rankings(
        self, batch: SparseBatch, k: int, n_threads: int, threshold: float, seconds: list[float] | None
    ) -> Iterator[Ranking]:
        step = 1 if seconds is not None else TOGETHER
        if seconds is not None and len(batch.ids):
            self._answer(slice_rows(batch.rows, 0, 1), k)  # so that no query is charged for the connection
        starts = range(0, len(batch.ids), step)
        alone = n_threads == 1 or not self.searching.concurrent

        def asked(start: int) -> tuple[list[Found], float]:
            began = time.perf_counter()
            found = self._answer(slice_rows(batch.rows, start, min(start + step, len(batch.ids))), k)
            return found, time.perf_counter() - began

        with nullcontext() if alone else ThreadPoolExecutor(n_threads) as pool:
            answers = map(asked, starts) if pool is None else pool.map(asked, starts)
            for start, (found, took) in zip(starts, answers, strict=True):
                if seconds is not None:
                    seconds.append(took)
                for row, one in enumerate(found):
                    kept = one.scores > threshold
                    ids = self._contents.ids.take(one.numbers[kept])
                    yield Ranking(batch.ids[start + row], ids, one.scores[kept].astype(np.float32))

    def _answer(self, rows: SparseRows, k: int) -> list[Found]:
        """The best ``k`` for each row, ties by number."""
        answers = [Found(np.empty(0, np.int64), np.empty(0, np.float32))] * (len(rows.offsets) - 1)
        asking, limit = np.flatnonzero(np.diff(rows.offsets)).tolist(), self._capped(k + 1)
        while asking:
            again = []
            found = self.searching.search(take_rows(rows, np.array(asking)), limit)
            for row, one in zip(asking, found, strict=True):
                if limit > k and len(one.scores) >= limit > 0 and one.scores[k - 1] == one.scores[-1]:
                    again.append(row)
                answers[row] = in_order(one, k)
            if limit >= self._capped(2 * limit):
                break
            asking, limit = again, self._capped(2 * limit)
        return answers

    def _capped(self, limit: int) -> int:
        most = self.searching.most
        return max(1, min(limit, self.n_docs, self.n_docs if most is None else most))

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that are not there."""
        return unknown_in(self._contents.ids.numbers, doc_ids)

    def facts(self, queries: Queries | None = None) -> dict[str, Any]:
        """Engine, strategy, version, quantisation, sizes; FLOPS with ``queries``."""
        own, state = dict(self.searching.facts()), self.state
        sizes = {"L0_d": state.n_postings / max(state.n_docs, 1), "n_docs": state.n_docs}
        sizes |= {"n_postings": state.n_postings, "vocab_size": state.vocab_size}
        sizes["empty_docs"] = state.n_docs - state.n_full
        if "bytes" in own:
            sizes["index_bytes"] = own.pop("bytes")
        told = {"engine": self.name, **own, "index": sizes}
        return told if queries is None else told | {"flops": self._flops(queries)}

    def _flops(self, queries: Queries) -> float:
        batch = queries.vectors
        asked = np.bincount(batch.rows.columns, minlength=self.vocab_size).astype(np.int64)
        return expected_flops(self._contents.counts, self.n_docs, asked, len(batch.ids))


def check_place(state: State, store: Store) -> None:
    """InputError where the place of a complete build is gone, or has other documents."""
    about, found = store.about(state.place), store.count(state.place)
    if found is None:
        raise InputError(f"engine={store.name}: there is no {state.place} any more. Index the collection again")
    if about is not None and about.get("build") != state.build:
        raise InputError(
            f"engine={store.name}: {state.place} was built by another command since (its encoder is "
            f"{str(about.get('fingerprint'))[:12] or 'unknown'}). Index the collection again"
        )
    if found != state.n_full:
        raise InputError(
            f"engine={store.name}: {state.place} has {found} documents with terms; {state.n_full} were put there. "
            "Index the collection again"
        )


def in_order(found: Found, k: int) -> Found:
    """The best ``k`` of an answer: by score, ties by number."""
    order = np.lexsort((found.numbers, -found.scores.astype(np.float64)))[:k]
    return Found(found.numbers[order], found.scores[order])
