"""Two-step search: the heaviest query terms find candidates, the whole query ranks them."""

import numpy as np

from splade.indexing import InvertedIndex
from splade.kernels.compiled import read_only
from splade.kernels.two_step import rescore_all
from splade.records import SparseRows
from splade.search.strategies.blocked import BlockMax
from splade.search.strategies.work import Work


class TwoStep(BlockMax):
    """Candidates from the ``terms`` heaviest terms of a query, ``depth`` times k of them, scored exactly.

    After "Two-Step SPLADE" (Lassance, Déjean, Clinchant and Tonellotto, arXiv 2404.13357, 2024), as far as one
    index allows: queries are pruned as there, but documents are not, and weights are not saturated, since both
    would need a second index. The first step is exact block-max search for the shortened query. The second scores
    its candidates for the whole query from the same postings, so only documents that are no candidates are missed.
    No recall is promised. It is for comparisons: on the collections of `benchmarks/search` exact search
    is faster, and `Approximate` faster still.
    """

    def __init__(self, index: InvertedIndex, *, terms: int = 10, depth: int = 10) -> None:
        super().__init__(index)
        if terms < 1 or depth < 1:
            raise ValueError(f"terms and depth must be at least 1, got terms={terms} and depth={depth}")
        self._terms, self._depth = terms, depth
        positions = np.empty(index.n_docs, np.uint32)
        positions[self._blocks.order] = np.arange(index.n_docs, dtype=np.uint32)
        self._positions = read_only(positions)

    def __call__(self, work: Work) -> None:
        """As the other strategies; ``counts`` are of both steps."""
        queries, first, last, k, floor, allowed, keys, counts = work
        n_candidates = min(k * self._depth, int(self._blocks.n_docs))
        found = np.zeros((last - first, n_candidates), np.uint64)
        short = shortened(queries, first, last, self._terms)
        super().__call__(Work(short, 0, last - first, n_candidates, np.uint32(0), allowed, found, counts))
        scratch = self._take_scratch(k, work.longest)
        chosen = np.zeros(int(self._blocks.n_docs), np.uint8)
        found.flags.writeable = False
        where = (self._positions, found, chosen, read_only(chosen), scratch)
        rescore_all(self._blocks, queries, first, last, k, floor, *where, keys, counts)
        self._free.append(scratch)


def shortened(queries: SparseRows, first: int, last: int, n_terms: int) -> SparseRows:
    """Queries ``first`` to ``last`` with their ``n_terms`` heaviest terms only, in order of term."""
    kept = []
    for begin, end in zip(queries.offsets[first:last], queries.offsets[first + 1 : last + 1], strict=True):
        kept.append(begin + np.sort(np.argsort(-queries.weights[begin:end], kind="stable")[:n_terms]))
    offsets = np.concatenate([[0], np.cumsum([len(places) for places in kept])]).astype(np.int64)
    places = np.concatenate([np.empty(0, np.int64), *kept])
    return SparseRows(read_only(offsets), read_only(queries.columns[places]), read_only(queries.weights[places]))
