"""Collections of ir_datasets under our own type. The package is loaded only when a name points there."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.data.text_files.formats import TEXT, TITLE_TEXT
from splade.data.text_files.ids import IdTable, SeenHashes, hash_ids
from splade.data.text_files.sources import downloading
from splade.files import InputError
from splade.records import Text

BATCH = 10_000


class IrDocuments(Collection):
    """Documents of an ir_datasets set; single texts are read through its own document store.

    Finding an id reads all documents once and keeps 12 bytes for each.
    """

    def __init__(self, dataset: Any, source: str, titles: str = TITLE_TEXT) -> None:
        self.source, self.titles = source, titles
        self._dataset = dataset
        self._table: IdTable | None = None

    def __len__(self) -> int:
        with downloading(self.source):
            if self._table is None and (count := self._dataset.docs_count()) is not None:
                return int(count)
        return len(self._ids())

    def iterate(self, start: int = 0) -> Iterator[Text]:
        with downloading(self.source):
            records = itertools.islice(self._dataset.docs_iter(), start, None)
            yield from (text_of(record, self.titles) for record in records)

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return self._ids().find(ids, lambda number: self.at(number).id)

    def at(self, number: int) -> Text:
        if not 0 <= number < len(self):
            raise IndexError(f"{self.source}: no document has number {number}; there are {len(self)}")
        with downloading(self.source):
            return text_of(next(iter(self._dataset.docs_iter()[number : number + 1])), self.titles)

    def texts(self, ids: Sequence[str]) -> list[str]:
        with downloading(self.source):
            found = self._dataset.docs_store().get_many(list(ids))
        unknown = next((id for id in ids if id not in found), None)
        if unknown is not None:
            raise InputError(f"{self.source}: no text has the id {unknown!r}")
        return [text_of(found[id], self.titles).text for id in ids]

    def _ids(self) -> IdTable:
        if self._table is None:
            self._table = IdTable(np.concatenate([np.zeros(0, np.uint64), *self._hashes()]))
        return self._table

    def _hashes(self) -> Iterator[NDArray[np.uint64]]:
        seen, documents = SeenHashes(), self.iterate()
        while ids := [text.id for text in itertools.islice(documents, BATCH)]:
            hashes = hash_ids(ids)
            if (suspects := seen.add(hashes)).size:
                self._refuse_repeated(suspects)
            yield hashes

    def _refuse_repeated(self, suspects: NDArray[np.uint64]) -> None:
        wanted, met = set(suspects.tolist()), set()
        for text in self.iterate():
            if int(hash_ids([text.id])[0]) in wanted:
                if text.id in met:
                    raise InputError(f"{self.source}: two documents have the id {text.id!r}; ids must be unique")
                met.add(text.id)


class IrQueries(Collection):
    """Queries of an ir_datasets set, held in memory."""

    def __init__(self, dataset: Any, source: str) -> None:
        self.source = source
        with downloading(source):
            self._queries = [text_of(query) for query in dataset.queries_iter()]
        self._numbers = {query.id: number for number, query in enumerate(self._queries)}
        if len(self._numbers) < len(self._queries):
            raise InputError(f"{source}: two queries have the same id; ids must be unique")

    def __len__(self) -> int:
        return len(self._queries)

    def iterate(self, start: int = 0) -> Iterator[Text]:
        return iter(self._queries[start:])

    def find(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.fromiter((self._numbers.get(id, -1) for id in ids), np.int64, len(ids))

    def at(self, number: int) -> Text:
        return self._queries[number]


def text_of(record: Any, titles: str = TITLE_TEXT) -> Text:
    """A document or query of ir_datasets: title, space, text; else what the package calls its default text.

    With ``titles="text"`` a document's title is not read.
    """
    if hasattr(record, "query_id"):
        return Text(record.query_id, record.text if hasattr(record, "text") else record.default_text())
    if hasattr(record, "title") and hasattr(record, "text"):
        text = record.text or ""
        return Text(record.doc_id, text if titles == TEXT else f"{record.title or ''} {text}".strip())
    return Text(record.doc_id, record.default_text())
