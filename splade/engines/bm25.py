"""BM25 as an engine: texts in, and no model.

The weight of a term in a document does not depend on the query, so a document is a sparse vector like any other,
in the same inverted index. The IDF of a term is counted at the search, and is the weight of the query's side.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splade.engines import analysis
from splade.engines.analysis import Analyzer
from splade.engines.inverted import Inverted, OpenedInverted
from splade.engines.protocol import Documents, Kind, Queries, Texts, refuse_other_kind, same_origin, texts_of
from splade.files import InputError
from splade.indexing import Index, InvertedIndex, Vocabulary
from splade.records import Ranking, SparseBatch, SparseRows, Text

logger = logging.getLogger(__name__)

MEAN = "mean_length"  # of documents, in terms: known when all have been counted, and kept with the index


class Bm25:
    """Okapi BM25 as Lucene computes it.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). A document's score is the
    sum over the query's terms, repeated ones counted again, of::

        ln(1 + (N - df + .5) / (df + .5)) · tf / (tf + k1 · (1 - b + b · length / mean length))

    The factor ``k1 + 1``, which changes no ranking, is left out, as Lucene has it since version 8. Lengths are exact;
    Lucene rounds them to a byte. ``k1`` and ``b`` default to the values of most published figures. ``analyzer`` is
    ``english`` (Lucene's English analysis) or ``plain`` (lower-cased words); see `splade.engines.analysis`. The other
    arguments are those of :class:`splade.engines.inverted.Inverted`. ValueError for values out of range.
    """

    takes: ClassVar[Kind] = "texts"

    def __init__(
        self,
        folder: str | Path | None,
        *,
        k1: float = 0.9,
        b: float = 0.4,
        analyzer: str = "english",
        strategy: str = "auto",
        memory_mb: int = 1024,
        layout: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"BM25 takes k1 >= 0 and 0 <= b <= 1, got k1={k1} and b={b}")
        self.k1, self.b = float(k1), float(b)
        self.settings: dict[str, Any] = {"analyzer": analyzer, "k1": self.k1, "b": self.b}
        self._analyze = analysis.analyzer(analyzer)
        self.index = Inverted(folder, strategy=strategy, memory_mb=memory_mb, layout=layout, **options)

    @property
    def fingerprint(self) -> str:
        """Analysis, k1 and b: they stand for the fingerprint of an encoder."""
        return "bm25:" + ",".join(f"{name}={value}" for name, value in self.settings.items())

    def build(self, documents: Documents) -> "OpenedBm25":
        """Index texts, which are read twice, for their mean length; as :meth:`splade.engines.protocol.Engine.build`.

        An interrupted build is continued after its last whole segment.
        """
        vectors = self._known(documents) or self._weighed(documents, _mean_length(documents, self._analyze))
        return OpenedBm25(self.index.build(vectors))

    def open(self) -> "OpenedBm25":
        """Open the index in the folder; InputError where it holds other vectors than BM25's."""
        return OpenedBm25(self.index.open())

    def exists(self) -> bool:
        """True where the folder has an index of BM25's."""
        there = self._there()
        return there is not None and is_bm25(there.fingerprint)

    def is_built(self, documents: Documents) -> bool:
        """True where `build` would keep the index that is there."""
        vectors = self._known(documents)
        return vectors is not None and self.index.is_built(vectors)

    def _known(self, documents: Documents) -> Documents | None:
        """``documents`` with the mean length that the index in the folder tells; None where it is of others."""
        there = self._there()
        if there is None or MEAN not in there.metadata:
            return None
        vectors = self._weighed(documents, there.metadata[MEAN])
        return vectors if same_origin(there, vectors) else None

    def _there(self) -> Index | None:
        """The index in the folder, its arrays not read to verify them; None where there is none that opens."""
        if self.index.folder is None or not self.index.exists():
            return None
        try:
            return InvertedIndex.open(self.index.folder, verify=False)
        except InputError:  # said where it is opened to be used
            return None

    def _weighed(self, documents: Documents, mean_length: float) -> Documents:
        """The vectors of ``documents``, over a vocabulary that grows with them."""
        vocabulary = Vocabulary()

        def batches(start: int) -> Iterator[SparseBatch]:
            for batch in documents.batches(start):
                bags = [_counted(self._analyze(text), vocabulary) for text in batch.texts]
                rows = _saturated(_rows(bags), self.k1, self.b, mean_length)
                yield SparseBatch(batch.ids, rows, max(len(vocabulary), 1))

        origin = documents.origin | self.settings | {MEAN: mean_length}
        return Documents(batches, None, vocabulary, self.fingerprint, origin)


class OpenedBm25:
    """An index of BM25's weights as the protocol `Opened` has it: queries are `Texts`."""

    takes: ClassVar[Kind] = "texts"

    def __init__(self, opened: OpenedInverted) -> None:
        if not is_bm25(opened.fingerprint):
            raise InputError(
                f"{opened.path}: holds the vectors of a model ({opened.fingerprint[:12] or 'unknown'}), not BM25's. "
                "Index the collection with engine=bm25, or point config.index_dir at such an index"
            )
        self.opened = opened
        self.n_docs, self.vocab_size = opened.n_docs, opened.vocab_size
        self.fingerprint, self.metadata, self.path = opened.fingerprint, opened.metadata, opened.path
        self._analyze = analysis.analyzer(str(opened.metadata["analyzer"]))

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms, stemmed where the analysis stems, by number."""
        return self.opened.vocabulary

    def search(
        self,
        queries: Queries,
        k: int,
        *,
        n_threads: int = 1,
        threshold: float = 0.0,
        seconds: list[float] | None = None,
    ) -> Iterator[Ranking]:
        """As :meth:`splade.engines.protocol.Opened.search`; words that no document holds count nothing."""
        refuse_other_kind(self, queries.vectors, Texts)
        weighed = queries._replace(vectors=self.vectors(queries.vectors))
        return self.opened.search(weighed, k, n_threads=n_threads, threshold=threshold, seconds=seconds)

    def vectors(self, texts: Texts) -> SparseBatch:
        """The vectors of queries: for each term that the index knows, its IDF times its count in the query."""
        vocabulary = self.opened.vocabulary
        assert vocabulary is not None
        known = vocabulary.numbers_of
        bags = [Counter(known[term] for term in self._analyze(text) if term in known) for text in texts.texts]
        rows = _rows(bags)
        weights = self.idf()[rows.columns] * rows.weights
        return SparseBatch(texts.ids, rows._replace(weights=weights.astype(np.float32)), self.vocab_size)

    def idf(self) -> NDArray[np.float64]:
        """The IDF of every term, float64 [V]."""
        frequencies = self.opened.posting_counts()
        return np.log1p((self.n_docs - frequencies + 0.5) / (frequencies + 0.5))

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that the index does not hold."""
        return self.opened.unknown(doc_ids)

    def facts(self, queries: Queries | None = None) -> dict[str, Any]:
        """Engine, strategy, analysis, k1, b and mean length, statistics of the index; FLOPS with ``queries``."""
        own = {name: self.metadata[name] for name in ("analyzer", "k1", "b", MEAN)}
        told = self.opened.facts() | {"engine": "bm25", "bm25": own}
        return told if queries is None else told | {"flops": self.opened.flops(self.vectors(queries.vectors))}


def rankings(documents: Iterable[Text], queries: Iterable[Text], k: int = 10, **settings: Any) -> Iterator[Ranking]:
    """The BM25 ranking of each query, all in memory; ``settings`` are arguments of `Bm25`."""
    held = texts_of(documents)
    opened = Bm25(None, **settings).build(Documents(lambda _: [held], None, None, "", {}))
    return opened.search(Queries(texts_of(queries)), min(k, max(opened.n_docs, 1)))


def is_bm25(fingerprint: str) -> bool:
    """True for the fingerprint of an index of BM25's weights."""
    return fingerprint.startswith("bm25:")


def _counted(terms: Iterable[str], vocabulary: Vocabulary) -> Counter[int]:
    """The count of each term, by its number in ``vocabulary``, to which new ones are added."""
    return Counter(map(vocabulary.add, terms))


def _mean_length(documents: Documents, analyze: Analyzer) -> float:
    """The mean number of terms of a document, all of which are read."""
    n_docs = n_terms = 0
    for batch in documents.batches(0):
        n_docs += len(batch.ids)
        n_terms += sum(len(analyze(text)) for text in batch.texts)
    return n_terms / max(n_docs, 1)


def _rows(bags: list[Counter[int]]) -> SparseRows:
    sizes = [len(bag) for bag in bags]
    pairs = [pair for bag in bags for pair in sorted(bag.items())]
    return SparseRows(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([term for term, _ in pairs], np.int32),
        np.array([count for _, count in pairs], np.float32),
    )


def _saturated(counts: SparseRows, k1: float, b: float, mean_length: float) -> SparseRows:
    """``counts`` of terms as what a document contributes to a score, but for the IDF."""
    sizes = np.diff(counts.offsets)
    tf = counts.weights.astype(np.float64)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    lengths = np.bincount(rows, tf, minlength=len(sizes))
    norms = k1 * (1 - b + b * lengths / max(mean_length, 1e-9))
    return counts._replace(weights=(tf / (tf + norms[rows])).astype(np.float32))
