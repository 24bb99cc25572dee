"""Some documents of a collection as vectors, to be measured in place of all."""

from collections.abc import Sequence
from typing import NamedTuple

from splade.kernels.sparse import concatenate, slice_rows
from splade.records import SparseBatch


class Encoding(NamedTuple):
    """The costs of encoding documents of a sample on one worker."""

    seconds: float  # of all these documents
    memory_mb: float  # the most that the process held (MiB)
    gpu_memory_mb: float | None = None  # the most that it held of a GPU; None without one


class Counts(NamedTuple):
    """Counts of documents, for a target that wants to know them before it writes the first (`prepare`)."""

    n_docs: int
    n_postings: int
    vocab_size: int
    largest: float  # weight of a document


class Sample(NamedTuple):
    """Vectors of documents, their texts ("" where there are none), and what their columns are called.

    ``words`` has a distinct word without white space for each column, as an export wants them. ``encoding`` is None
    for given vectors.
    """

    vectors: SparseBatch
    texts: Sequence[str]
    terms: Sequence[str] | None
    words: Sequence[str]
    encoding: Encoding | None = None

    @property
    def n_docs(self) -> int:
        """The number of documents."""
        return len(self.vectors.ids)

    @property
    def counts(self) -> Counts:
        """The counts of these documents."""
        weights = self.vectors.rows.weights
        return Counts(self.n_docs, len(weights), self.vectors.vocab_size, float(weights.max(initial=0)))

    def first(self, n_docs: int, encoding: Encoding | None = None) -> "Sample":
        """The first ``n_docs`` of them, or all, whose encoding cost ``encoding``."""
        ids, rows, width = self.vectors
        n_docs = min(n_docs, len(ids))
        vectors = SparseBatch(ids[:n_docs], slice_rows(rows, 0, n_docs), width)
        return self._replace(vectors=vectors, texts=self.texts[:n_docs], encoding=encoding)

    def repeated(self, copies: int) -> "Sample":
        """All documents so many times, under ids of their own."""
        ids, rows, width = self.vectors
        named = tuple(f"{id} {copy}" for copy in range(copies) for id in ids)
        vectors = SparseBatch(named, concatenate([rows] * copies), width)
        return self._replace(vectors=vectors, texts=list(self.texts) * copies)
