"""Find how far the score bounds of blocks may be lowered, by the recall measured on sampled queries.

Approximate search leaves out a block where a share of its bound is below the k-th best score so far. One exact
search per sampled query, and the bounds of the blocks that hold its results, tell the recall of every share at once.

Where there are no queries, they are made up, so that they find less at an equal share than real ones do. A bound is
near to a score where few terms make up most of the score, and where the document was made the query: so made-up
queries have as many terms as the shortest of their group, weights that differ far more than those of real queries
(standard deviation of the log 1.75; 1.1 to 1.3 in queries of trained models), and their own document counts.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.indexing.layout.promise import GROUPS, K_GRID, MADE_UP, SHARES, Calibration, summed_up
from splade.kernels.block_max import CHOOSE, Scratch, new_scratch, search_all
from splade.kernels.blocks import Blocks
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.plan import KEPT
from splade.kernels.recall import measure_recall
from splade.kernels.sparse import slice_rows, take_rows
from splade.records import SparseRows

QUERY_TERMS = tuple(1 << group for group in range(GROUPS))  # of made-up queries: the fewest of their group
SAMPLE = 256  # made-up queries of each group
LARGEST_SAMPLE = 2048  # queries measured of each group, where they are given
DOCUMENTS = 1024  # to be drawn, of which queries are made
AT_A_TIME = 4  # queries: at 180 terms each they touch a tenth of the postings, or more
LENGTHS = 33  # bit lengths of a uint32
HEAVIER, SHAKEN = 2, 1.75  # a query's terms are some of twice as many heaviest; standard deviation of log weights


def calibrate(
    blocks: Blocks,
    documents: SparseRows | None = None,
    *,
    queries: SparseRows | None = None,
    seed: int = 0,
    n_threads: int = 1,
    between: Callable[[], None] = lambda: None,
    **source: Any,
) -> Calibration:
    """Recall for each k, group of query length and share, if blocks are judged by a share of their bound.

    ``queries``, rows over the vocabulary of ``blocks``, are measured, of each group up to LARGEST_SAMPLE drawn by
    ``seed``; ``source`` names them (`Calibration`). Without them, queries are made of ``documents``: some rows of the
    index, drawn at random, best `DOCUMENTS`. Where nothing could be measured, nothing is promised. The figures
    err on the low side (`splade.kernels.recall`). ``between`` is called after every AT_A_TIME queries: searches touch a
    good part of the index. Seconds at a million documents; memory: 4 bytes per document, and 32 KiB a query.
    """
    positions = np.empty(int(blocks.n_docs), np.uint32)
    positions[blocks.order] = np.arange(int(blocks.n_docs), dtype=np.uint32)
    ks = tuple(k for k in K_GRID if k <= blocks.n_docs)
    found: dict[tuple[int, int], NDArray[np.float64]] = {}
    for group in range(GROUPS):
        sample = None
        if queries is not None:
            sample = drawn(of_length(queries, group), seed)
        elif documents is not None:
            sample = made_up(documents, QUERY_TERMS[group], seed)
        if ks and sample is not None and len(sample.offsets) > 1:
            recall = recall_of(blocks, sample, ks, read_only(positions), n_threads, between)
            found |= {(k, group): recall[number] for number, k in enumerate(ks)}
    about = source or ({"source": MADE_UP} if queries is None else {"source": "the caller"})
    n_queries = sum(len(rows) for (k, _), rows in found.items() if k == ks[0])
    return summed_up(found, **({"n_queries": n_queries} | about))


def recall_of(
    blocks: Blocks,
    queries: SparseRows,
    ks: tuple[int, ...],
    positions: NDArray[np.uint32],
    n_threads: int = 1,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float64]:
    """The recall of each query at each share, float64 [ks, Q, SHARES]; the same for any number of threads."""
    n_queries, longest = len(queries.offsets) - 1, int(np.diff(queries.offsets).max(initial=1))
    found = np.zeros((len(ks), n_queries, len(SHARES)))
    free: deque[Scratch] = deque(new_scratch(blocks, max(ks), longest) for _ in range(n_threads))

    def measure(first: int) -> None:
        last = min(first + AT_A_TIME, n_queries)
        part, scratch = read_only_rows(slice_rows(queries, first, last)), free.pop()
        keys = exact(blocks, part, max(ks), scratch)
        for number, k in enumerate(ks):
            measure_recall(blocks, part, keys, 0, k, positions, read_only(SHARES), scratch, found[number, first:last])
        free.append(scratch)
        between()

    starts = range(0, n_queries, AT_A_TIME)
    if n_threads == 1:
        for first in starts:
            measure(first)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(measure, starts))
    return found


def exact(blocks: Blocks, queries: SparseRows, k: int, scratch: Scratch) -> NDArray[np.uint64]:
    """The keys of the k best documents of each query, best first, [Q, k]."""
    n_queries = len(queries.offsets) - 1
    keys, counts = np.zeros((n_queries, k), np.uint64), np.zeros((n_queries, 3), np.int64)
    everything, shares = read_only(np.empty(0, np.uint8)), read_only(np.ones(LENGTHS, np.float32))
    memory = np.zeros((LENGTHS, KEPT), np.int64)
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


def of_length(queries: SparseRows, group: int) -> SparseRows:
    """The queries whose number of terms is of ``group``: it has group + 1 bits, or more in the last group."""
    lengths = np.diff(queries.offsets)
    longest = np.iinfo(np.int64).max if group == GROUPS - 1 else 2 << group
    rows = np.flatnonzero((lengths >= 1 << group) & (lengths < longest))
    return read_only_rows(take_rows(queries, rows))


def drawn(queries: SparseRows, seed: int) -> SparseRows:
    """The queries, or LARGEST_SAMPLE of them drawn by ``seed``, in their order."""
    n_queries = len(queries.offsets) - 1
    if n_queries <= LARGEST_SAMPLE:
        return queries
    taken = np.sort(np.random.default_rng(seed).choice(n_queries, LARGEST_SAMPLE, replace=False))
    return read_only_rows(take_rows(queries, taken))
