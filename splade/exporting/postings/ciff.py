"""Documents as a Common Index File (CIFF), which Lucene, PISA, BMP, Terrier and others read; queries as JSON lines."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.postings.ciff_reading import CiffReader
from splade.exporting.postings.ciff_writing import write_ciff
from splade.exporting.postings.impacts import Impacts, counted
from splade.exporting.postings.transposed import documents_of, transposed
from splade.exporting.postings.whole_queries import read_queries, write_queries
from splade.exporting.target import Documents, FileTarget, Observed, Written
from splade.files import InputError, whole_file
from splade.records import SparseBatch

DESCRIPTION = "learned sparse vectors as impacts, exported by splade"


class Ciff(FileTarget):
    """The `FileTarget` of ``docs.ciff`` (``docs.ciff.gz`` where ``gzip`` is set) and ``queries.jsonl``.

    Factors and ``bits`` are those of `Impacts`. Memory as in `splade.exporting.postings.transposed`; a check takes 100
    bytes for each posting of the most frequent term besides.
    """

    def __init__(
        self,
        quantization_factor_document: float | None = None,
        quantization_factor_query: float = 100,
        bits: int | None = None,
        gzip: bool = False,
    ) -> None:
        self.impacts = Impacts(quantization_factor_document, quantization_factor_query, bits)
        self.name = "docs.ciff" + (".gz" if gzip else "")

    def prepare(self, observed: Observed) -> None:
        """Choose the factor of documents."""
        self.impacts.prepare(observed)

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights as whole impacts, divided by the factor again."""
        return self.impacts.kept(side, weights)

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``docs.ciff`` into ``folder``."""
        return write_documents(folder / self.name, self.impacts.batches(documents), words, self.resuming)

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries.jsonl`` into ``folder``."""
        return write_queries(folder, queries, words, self.impacts)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of ``docs.ciff``."""
        return read_documents(folder / self.name, words, self.impacts)

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.jsonl``."""
        return read_queries(folder, words, self.impacts)

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        unpack = [f"gunzip -k {self.name}"] if self.name.endswith(".gz") else []
        return {
            "quantization": f"{self.impacts.told()}; impacts of 0 are left out",
            "load": [
                *unpack,
                "PISA: ciff2pisa --ciff-file docs.ciff --output inv (https://github.com/pisa-engine/ciff)",
                "BMP: python -c \"import bmp; bmp.ciff2bmp('docs.ciff', 'docs.bmp', 32, False)\" (impacts up to 255: "
                "export.bits=8)",
            ],
            "scores": f"{self.impacts.document * self.impacts.query:g} times ours, but for rounding; whole numbers",
        }


def write_documents(
    path: Path, batches: Iterable[SparseBatch], words: Sequence[str], resuming: bool, cluster: bool | None = False
) -> Written:
    """Write documents' impacts as a CIFF file; where ``resuming``, one that is there is kept."""
    if resuming and path.is_file():
        return Written(*counted(batches))
    with transposed(path.parent, batches, len(words), cluster) as postings, whole_file(path, "wb") as stream:
        write_ciff(stream, postings, words, DESCRIPTION)
        return Written(postings.n_docs, int((postings.lengths == 0).sum()))


def read_documents(path: Path, words: Sequence[str], impacts: Impacts) -> Iterator[SparseBatch]:
    """The documents of a CIFF file, in its order; InputError where it is damaged, or has a word that no term has."""
    numbers = {word: number for number, word in enumerate(words)}
    with CiffReader(path) as reader:
        n_docs = reader.header().n_docs

        def lists() -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.float32]]]:
            for word, docs, whole in reader.lists():
                if word not in numbers:
                    raise InputError(f"{path}: {word!r} is no word of terms.txt. Export again")
                yield numbers[word], docs, impacts.weights("document", whole)

        yield from documents_of(lists(), n_docs, lambda: [doc_id for doc_id, _ in reader.records()], len(words))
