"""The recall of exact search in an index that keeps less than there is, on queries made up from its documents."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from splade.indexing.layout.calibration import exact
from splade.indexing.layout.sources import Documents, Source, take
from splade.kernels.block_max import new_scratch
from splade.kernels.blocks import Blocks
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.shares import score_side_by_side
from splade.kernels.topk import decode
from splade.records import SparseRows

QUERIES = 128  # made up for each of LENGTHS
LENGTHS = (8, 32)  # terms of a made-up query
SHAKEN = 1.2  # standard deviation of the log of what their weights are multiplied by
KS = (10, 100, 1000)
LANES = 64  # queries scored side by side


def made_up(documents: SparseRows, seed: int) -> SparseRows:
    """Queries of LENGTHS terms, QUERIES of each: a document's terms drawn by their weight, and their weights shaken."""
    rng = np.random.default_rng([seed, 1])
    columns, weights, ends = [np.empty(0, np.int32)], [np.empty(0, np.float32)], [0]
    n_docs = len(documents.offsets) - 1
    for n_terms in LENGTHS:
        for doc in rng.permutation(n_docs)[:QUERIES]:
            begin, end = documents.offsets[doc : doc + 2]
            own = documents.weights[begin:end].astype(np.float64)
            if not own.size:
                continue
            n = min(n_terms, own.size)
            taken = np.sort(rng.choice(own.size, n, replace=False, p=own / own.sum()))
            columns.append(documents.columns[begin + taken])
            weights.append((own[taken] * np.exp(SHAKEN * rng.standard_normal(n))).astype(np.float32))
            ends.append(ends[-1] + n)
    return read_only_rows(SparseRows(np.array(ends, np.int64), np.concatenate(columns), np.concatenate(weights)))


def best_of(parts: Iterable[Documents], queries: SparseRows, k: int, n_terms: int) -> list[NDArray[np.int64]]:
    """The k best documents of each query, best first, those without a common term left out.

    ``parts`` are documents, some at a time (`Source.documents`), each read once. Memory: LANES scores of each of them.
    """
    n_queries = len(queries.offsets) - 1
    best = [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in range(n_queries)]
    places, tables = _tables(queries, n_terms)
    for docs, rows in parts:
        scores = np.empty((len(docs), LANES), np.float32)
        for first, table in zip(range(0, n_queries, LANES), tables, strict=True):
            score_side_by_side(read_only_rows(rows), places, table, scores)
            for q in range(first, min(first + LANES, n_queries)):
                best[q] = _merged(best[q], np.ascontiguousarray(scores[:, q - first]), docs, k)
    return [found for _, found in best]


def _tables(queries: SparseRows, n_terms: int) -> tuple[NDArray[np.int32], list[NDArray[np.float32]]]:
    """The row of each term, and the weights of LANES queries at a time by that row."""
    n_queries = len(queries.offsets) - 1
    places = np.zeros(n_terms, np.int32)
    used = np.unique(queries.columns)
    places[used] = np.arange(1, len(used) + 1, dtype=np.int32)
    tables = []
    for first in range(0, n_queries, LANES):
        table = np.zeros((len(used) + 1, LANES), np.float32)
        for q in range(first, min(first + LANES, n_queries)):
            entries = slice(queries.offsets[q], queries.offsets[q + 1])
            table[places[queries.columns[entries]], q - first] = queries.weights[entries]
        tables.append(read_only(table))
    return read_only(places), tables


def _merged(
    best: tuple[NDArray[np.float32], NDArray[np.int64]], scores: NDArray[np.float32], docs: NDArray[np.integer], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    bar = best[0][k - 1] if len(best[0]) >= k else np.float32(0)
    better = np.flatnonzero(scores > bar)
    if len(better) > k:
        better = better[np.argpartition(-scores[better], k - 1)[:k]]
    values, numbers = np.concatenate([best[0], scores[better]]), np.concatenate([best[1], docs[better]])
    order = np.lexsort((numbers, -values))[:k]
    return values[order], numbers[order]


def recalls(truth: list[NDArray[np.int64]], found: list[NDArray[np.int64]]) -> dict[int, float]:
    """For each k of KS, the mean share of the k best that is among the k found; only k that some query has."""
    told = {}
    for k in KS:
        pairs = [(set(true[:k].tolist()), got[:k].tolist()) for true, got in zip(truth, found, strict=True)]
        shares = [sum(doc in true for doc in got) / len(true) for true, got in pairs if len(true) == k]
        if shares:
            told[k] = float(np.mean(shares))
    return told


def recall_of(source: Source, blocks: Blocks, seed: int) -> tuple[dict[int, float], int]:
    """The recall of exact search in ``blocks`` of the best documents of ``source``, by k, and the number of queries.

    Queries are made up (`made_up`) from documents drawn at random. Reads all documents twice.
    """
    n_terms = len(source.offsets) - 1
    some = np.sort(np.random.default_rng(seed).permutation(source.n_docs)[: QUERIES * 2])
    queries = made_up(take(source, some), seed)
    longest = int(np.diff(queries.offsets).max(initial=1))
    k = min(max(KS), source.n_docs)
    keys = exact(blocks, queries, k, new_scratch(blocks, k, longest))
    found = [decode(row[row > 0])[0].astype(np.int64) for row in keys]
    truth = best_of(source.documents(), queries, k, n_terms)
    return recalls(truth, found), len(queries.offsets) - 1
