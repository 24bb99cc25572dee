"""Documents as PISA's uncompressed inverted index with lexicons, queries as lines of term numbers."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.postings.impacts import Impacts, counted
from splade.exporting.postings.pisa_files import FILES, TERMS, read_lines, read_names, read_postings, write_collection
from splade.exporting.postings.transposed import documents_of, transposed
from splade.exporting.target import Documents, FileTarget, Observed, Written, kept_rows
from splade.exporting.vectors import Entry, batches, vectors
from splade.files import InputError, text_lines, whole_file
from splade.records import SparseBatch

QUERIES, SCRIPT = "queries.pisa", "pisa.sh"
INDEX = "--encoding block_simdbp --index inv.index --wand inv.bounds --scorer quantized --weighted -k 1000"
LOAD = (
    "compress_inverted_index --collection inv --encoding block_simdbp --output inv.index",
    "create_wand_data --collection inv --scorer quantized --block-size 64 --output inv.bounds",
    # maxscore has been the fastest for queries as long as SPLADE's: benchmarks/engines
    f"evaluate_queries {INDEX} --algorithm maxscore --documents fwd.doclex --queries queries.pisa > run.trec",
    f"queries {INDEX} --algorithm maxscore:block_max_wand --queries queries.pisa",
)


class Pisa(FileTarget):
    """The `FileTarget` of ``inv.docs``, ``inv.freqs``, ``inv.sizes``, the names in ``fwd.*``, and ``queries.pisa``.

    ``pisa.sh`` has the commands that compress the index and search it. Factors and ``bits`` are those of `Impacts`,
    memory as in `splade.exporting.postings.transposed`. A query's line is ``ID:NUMBER NUMBER …``, each term's number as
    often as its weight; terms that no document has get no number and are left out.
    """

    def __init__(
        self,
        quantization_factor_document: float | None = None,
        quantization_factor_query: float = 100,
        bits: int | None = None,
    ) -> None:
        self.impacts = Impacts(quantization_factor_document, quantization_factor_query, bits)
        self._known: NDArray[np.bool_] | None = None  # [V] terms that a document has, for queries

    def prepare(self, observed: Observed) -> None:
        """Choose the factor of documents."""
        self.impacts.prepare(observed)

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights as whole impacts, divided by the factor again."""
        return self.impacts.kept(side, weights)

    def kept_weights(self, side: str, batch: SparseBatch) -> NDArray[np.float32]:
        """As `kept`; 0 for a term of a query that no document has."""
        weights = self.kept(side, batch.rows.weights)
        if side == "document" or self._known is None:
            return weights
        return np.where(self._known[batch.rows.columns], weights, np.float32(0))

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write the collection and ``pisa.sh`` into ``folder``."""
        batches = self.impacts.batches(documents)
        if self.resuming and all((folder / name).is_file() for name in (*FILES, SCRIPT)):
            return Written(*counted(batches))
        with transposed(folder, batches, len(words)) as postings:
            write_collection(folder, postings, words)
            written = Written(postings.n_docs, int((postings.lengths == 0).sum()))
        with whole_file(folder / SCRIPT) as stream:
            stream.write("#!/bin/sh -e\n# In the folder of the export, with PISA's tools on the PATH\n")
            stream.writelines(f"{step}\n" for step in LOAD)
        return written

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries.pisa`` into ``folder``; InputError for an id with a colon or line end."""
        numbers, n_texts, n_empty = self._numbers(), 0, 0
        self._known = np.array([word in numbers for word in words], bool)
        path = folder / QUERIES
        with whole_file(path) as stream:
            for batch in queries:
                for one in vectors(kept_rows(self, "query", batch)):
                    if ":" in one.id or len(one.id.splitlines()) != 1:
                        raise InputError(
                            f"the query id {one.id!r} has a colon or line end; {QUERIES} has ID:TERMS a line. "
                            "Rename it in the queries and the qrels"
                        )
                    n_texts, n_empty = n_texts + 1, n_empty + (not len(one.columns))
                    whole = np.rint(one.weights.astype(np.float64) * self.impacts.query).astype(np.int64).tolist()
                    terms = [str(numbers[words[term]]) for term in one.columns.tolist()]
                    repeated = (term for term, times in zip(terms, whole, strict=True) for _ in range(times))
                    stream.write(f"{one.id}:{' '.join(repeated)}\n")
        return Written(n_texts, n_empty)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of the collection."""
        names = read_names(folder)
        numbers = {word: number for number, word in enumerate(words)}
        for line, word in enumerate(names.terms, 1):
            if word not in numbers:
                raise InputError.at(folder / TERMS, line, f"{word!r} is no word of terms.txt")
        lists = (
            (numbers[word], docs, self.impacts.weights("document", whole))
            for word, (docs, whole) in zip(names.terms, read_postings(folder, names), strict=True)
        )
        return documents_of(lists, len(names.documents), lambda: names.documents, len(words))

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.pisa``."""
        path, found = folder / QUERIES, {word: number for number, word in enumerate(words)}
        columns = [found[word] for word in self._numbers()]

        def read() -> Iterator[Entry]:
            for line, text in text_lines(path):
                query_id, colon, repeated = text.partition(":")
                if not colon:
                    raise InputError.at(path, line, "no colon: a line is ID:NUMBER NUMBER …")
                times = Counter(repeated.split())
                for number in times:
                    if not (number.isdecimal() and int(number) < len(columns)):
                        raise InputError.at(path, line, f"{number!r} is no number of a line of {TERMS}, from 0")
                weights = self.impacts.weights("query", np.array(list(times.values()), np.int64))
                yield query_id, [columns[int(number)] for number in times], weights.tolist()

        return batches(read(), len(words))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        return {
            "quantization": f"{self.impacts.told()}; impacts of 0, and terms of queries that no document has, "
            "are left out",
            "load": list(LOAD),
            "scores": f"{self.impacts.document * self.impacts.query:g} times ours, but for rounding; whole numbers",
        }

    def _numbers(self) -> dict[str, int]:
        assert self.documents_in is not None, "documents are written before queries"
        return {word: number for number, word in enumerate(read_lines(self.documents_in / TERMS))}
