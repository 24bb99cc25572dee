"""BM25 on the same engine: a document's BM25 impacts are a sparse vector like any other.

The score of a query is the inner product of its term counts with the documents' impacts, so the
baseline runs through the index and searcher that the learned vectors use.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from splade.indexing import InvertedIndex
from splade.records import Ranking, SparseBatch, SparseRows, Text
from splade.search.searcher import Searcher

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The lower-cased words of ``text``: no stemming, no stop list."""
    return _WORD.findall(text.lower())


class BM25:
    """Okapi BM25 as Lucene computes it, with ``ln(1 + (N - df + .5) / (df + .5))`` as IDF.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
    factor ``k1 + 1``, which changes no ranking, left out. For baselines on collections that fit in
    memory. ``k1`` and ``b`` default to the values of most published MS MARCO figures.
    """

    def __init__(self, documents: Iterable[Text], *, k1: float = 0.9, b: float = 0.4) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"BM25 takes k1 >= 0 and 0 <= b <= 1, got k1={k1} and b={b}")
        self.vocabulary: dict[str, int] = {}
        ids, bags = [], []
        for document in documents:
            ids.append(document.id)
            bags.append(Counter(self.vocabulary.setdefault(w, len(self.vocabulary)) for w in words(document.text)))
        impacts = SparseBatch(tuple(ids), _impacts(bags, len(self.vocabulary), k1, b), self._width)
        self.searcher = Searcher(InvertedIndex.from_csr(impacts))

    @property
    def _width(self) -> int:
        return max(len(self.vocabulary), 1)

    def search(self, queries: Iterable[Text], k: int = 10) -> Iterator[Ranking]:
        """The ranking of each query; words that no document holds count nothing."""
        ids, bags = [], []
        for query in queries:
            ids.append(query.id)
            bags.append(Counter(self.vocabulary[w] for w in words(query.text) if w in self.vocabulary))
        k = min(k, max(self.searcher.index.n_docs, 1))
        yield from self.searcher.search(SparseBatch(tuple(ids), _rows(bags), self._width), k=k)


def _rows(bags: list[Counter[int]]) -> SparseRows:
    sizes = [len(bag) for bag in bags]
    pairs = [pair for bag in bags for pair in sorted(bag.items())]
    return SparseRows(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([term for term, _ in pairs], np.int32),
        np.array([count for _, count in pairs], np.float32),
    )


def _impacts(bags: list[Counter[int]], n_terms: int, k1: float, b: float) -> SparseRows:
    counts = _rows(bags)
    n_docs = len(bags)
    frequencies = np.bincount(counts.columns, minlength=n_terms)
    idf = np.log1p((n_docs - frequencies + 0.5) / (frequencies + 0.5))
    lengths = np.array([sum(bag.values()) for bag in bags], np.float64)
    norms = k1 * (1 - b + b * lengths / max(lengths.mean(), 1e-9)) if n_docs else lengths
    tf = counts.weights.astype(np.float64)
    per_entry = np.repeat(norms, np.diff(counts.offsets))
    return counts._replace(weights=(idf[counts.columns] * tf / (tf + per_entry)).astype(np.float32))
