"""Find how far the score bounds of blocks may be lowered, by the recall measured on sampled queries.

Approximate search leaves out a block where a share of its bound is below the k-th best score so far. One exact
search per sampled query, and the bounds of the blocks that hold its results, tell the recall of every share at once.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from splade.kernels.block_max import CHOOSE, Scratch, new_scratch, search_all
from splade.kernels.blocks import Blocks
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.recall import add_recall
from splade.kernels.sparse import slice_rows, take_rows
from splade.records import SparseRows

K_GRID = (1, 10, 100, 1000)
QUERY_TERMS = (1, 3, 6, 12, 24, 44, 90, 180)  # group g: queries whose number of terms has g + 1 bits
SHARES = np.round(np.arange(100, 28, -2) / 100, 2).astype(np.float32)  # from 1 down
SHAPE = (len(K_GRID), len(QUERY_TERMS), len(SHARES))
SAMPLE, SAMPLE_OF_MANY = 256, 64  # queries of each group; of them, those asked for 1000 results
DOCUMENTS = 1024  # to be drawn, of which queries are made
FEWEST = 16  # queries, below which a group says nothing
AT_A_TIME = 4  # queries: at 180 terms each they touch a tenth of the postings, or more
LENGTHS = 33  # bit lengths of a uint32
HEAVIER, SHAKEN = 2, 0.5  # a query's terms are some of twice as many heaviest; standard deviation of log weights


def calibrate(
    blocks: Blocks,
    documents: SparseRows,
    *,
    queries: SparseRows | None = None,
    seed: int = 0,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Recall, float32 [K_GRID, groups of query length, SHARES], if blocks are judged by a share of their bound.

    ``documents`` are some rows of the index, drawn at random, best `DOCUMENTS`; queries are made of their
    heavier terms by ``seed``. ``queries``, rows over the same vocabulary, take their place. Where
    nothing could be measured, recall is 1 at share 1 and 0 below. The figures err on the low side
    (`splade.kernels.recall`). ``between`` is called after every AT_A_TIME queries: searches touch a good part of
    the index. Seconds at a million documents; memory: 4 bytes per document.
    """
    positions = np.empty(int(blocks.n_docs), np.uint32)
    positions[blocks.order] = np.arange(int(blocks.n_docs), dtype=np.uint32)
    recall = np.zeros(SHAPE, np.float32)
    recall[:, :, 0] = 1
    for group, n_terms in enumerate(QUERY_TERMS):
        if queries is None:
            sample, skipped = made_up(documents, n_terms, seed), 1  # the best is the document itself
        else:
            sample, skipped = of_length(queries, group + 1), 0
        n_queries = len(sample.offsets) - 1
        if n_queries >= FEWEST:
            for count, ks in ((SAMPLE, K_GRID[:-1]), (SAMPLE_OF_MANY, K_GRID[-1:])):
                chosen = slice_rows(sample, 0, min(count, n_queries))
                _measure(blocks, chosen, skipped, ks, read_only(positions), recall[:, group], between)
    return recall


def _measure(
    blocks: Blocks,
    queries: SparseRows,
    skipped: int,
    ks: tuple[int, ...],
    positions: NDArray[np.uint32],
    recall: NDArray[np.float32],
    between: Callable[[], None],
) -> None:
    """Fill the rows of ``recall`` [K_GRID, SHARES] that belong to ``ks``, as far as there are so many documents."""
    ks = tuple(k for k in ks if k + skipped <= blocks.n_docs)
    if not ks:
        return
    n_queries, longest = len(queries.offsets) - 1, int(np.diff(queries.offsets).max())
    scratch = new_scratch(blocks, max(ks) + skipped, longest)
    found = np.zeros((len(ks), len(SHARES)))
    for first in range(0, n_queries, AT_A_TIME):
        part = read_only_rows(slice_rows(queries, first, min(first + AT_A_TIME, n_queries)))
        keys = exact(blocks, part, max(ks) + skipped, scratch)
        for number, k in enumerate(ks):
            add_recall(blocks, part, keys, skipped, k, positions, read_only(SHARES), scratch, found[number])
        between()
    for number, k in enumerate(ks):
        recall[K_GRID.index(k)] = found[number] / n_queries


def exact(blocks: Blocks, queries: SparseRows, k: int, scratch: Scratch) -> NDArray[np.uint64]:
    """The keys of the k best documents of each query, best first, [Q, k]."""
    n_queries = len(queries.offsets) - 1
    keys, counts = np.zeros((n_queries, k), np.uint64), np.zeros((n_queries, 3), np.int64)
    everything, shares = read_only(np.empty(0, np.uint8)), read_only(np.ones(LENGTHS, np.float32))
    memory = np.zeros((LENGTHS, 2), np.int64)
    search_all(
        blocks, queries, 0, n_queries, k, np.uint32(0), everything, CHOOSE, shares, memory, scratch, keys, counts
    )
    return read_only(-np.sort(-keys.view(np.int64), axis=1)).view(np.uint64)


def made_up(documents: SparseRows, n_terms: int, seed: int) -> SparseRows:
    """Queries of ``n_terms`` terms: some of a document's heavier ones, their weights shaken; at most SAMPLE."""
    rng = np.random.default_rng([seed, n_terms])
    parts: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
    for doc in range(len(documents.offsets) - 1):
        places = enough_terms(documents, doc, n_terms)
        heavy = places[np.argsort(-documents.weights[places], kind="stable")[: HEAVIER * n_terms]]
        taken = rng.permutation(heavy)[:n_terms]
        taken = taken[np.argsort(documents.columns[taken])]
        if len(taken) == n_terms:
            shaken = documents.weights[taken] * np.exp(SHAKEN * rng.standard_normal(n_terms))
            parts.append((documents.columns[taken], shaken.astype(np.float32)))
        if len(parts) == SAMPLE:
            break
    columns = np.concatenate([np.empty(0, np.int32), *(terms for terms, _ in parts)])
    weights = np.concatenate([np.empty(0, np.float32), *(values for _, values in parts)])
    return read_only_rows(SparseRows(np.arange(len(parts) + 1, dtype=np.int64) * n_terms, columns, weights))


def enough_terms(documents: SparseRows, doc: int, n_terms: int) -> NDArray[np.int64]:
    """Return the places of a document's terms, each once; those of up to three next ones too, where it is short."""
    begin = documents.offsets[doc]
    for last in range(doc + 1, min(doc + 5, len(documents.offsets))):
        _, places = np.unique(documents.columns[begin : documents.offsets[last]], return_index=True)
        if len(places) >= n_terms:
            break
    return begin + places


def of_length(queries: SparseRows, bits: int) -> SparseRows:
    """The queries whose number of terms has so many bits."""
    lengths = np.diff(queries.offsets)
    rows = np.flatnonzero((lengths >= 1 << (bits - 1)) & (lengths < 1 << bits))
    return read_only_rows(take_rows(queries, rows))
