"""An order of documents in which neighbours are alike, so that blocks of them have telling bounds."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from splade.indexing.layout.calibration import DOCUMENTS
from splade.indexing.layout.sources import Source, take
from splade.kernels.cluster import assign
from splade.kernels.compiled import read_only_rows
from splade.kernels.sparse import slice_rows, take_rows, transpose
from splade.records import SparseRows

logger = logging.getLogger(__name__)

TASK = 1 << 11  # documents that a thread takes at a time
TOP_TERMS = 25  # of a document, by weight, that decide which centre it is like
MOST_CENTRES, GROUPS = 4096, 64
SAMPLED, FEWEST_BLOCKS = 1 << 13, 16  # documents of each order that are compared, about, and blocks at least


def alike_order(source: Source, block_size: int, seed: int, n_threads: int) -> tuple[NDArray[np.uint32], SparseRows]:
    """The better of `cluster_order` and the documents' own order, by `sums_of_bounds`; and what else the former gives.

    Passages that follow one another in a text, for one, are often more alike than those of a cluster.
    """
    clustered, drawn = cluster_order(source, seed, n_threads)
    if source.n_docs < block_size:
        return clustered, drawn
    given = np.arange(source.n_docs, dtype=np.uint32)
    of_given, of_clustered = sums_of_bounds(source, (given, clustered), block_size, seed)
    if of_given > of_clustered:
        return clustered, drawn
    logger.info(
        "documents keep their order: its bounds add up to %.4g, those of clusters to %.4g", of_given, of_clustered
    )
    return given, drawn


def cluster_order(source: Source, seed: int, n_threads: int) -> tuple[NDArray[np.uint32], SparseRows]:
    """The document at each position, uint32 [n_docs]; and up to DOCUMENTS others than centres, as rows of terms:
    near centres bounds are tighter than elsewhere, so that they would not do as a sample.

    Centres are documents drawn by ``seed``; each document goes to the centre it is most like,
    and centres are put in order by the same means, one level up. Within a cluster the order stays.
    Depends on nothing but vectors and seed. Walks over the documents twice. Memory: 20 bytes per document,
    and the centres.
    """
    rng = np.random.default_rng(seed)
    n_docs, n_terms = source.n_docs, len(source.offsets) - 1
    n_centres = int(min(MOST_CENTRES, max(4 * n_docs**0.5, 1), n_docs))
    chosen = np.sort(rng.choice(n_docs, n_centres, replace=False))
    others = np.setdiff1d(np.arange(n_docs), chosen)
    drawn = rng.choice(others, min(DOCUMENTS, len(others)), replace=False)
    taken = take(source, np.concatenate([chosen, drawn]))
    rows = read_only_rows(slice_rows(taken, 0, n_centres))
    drawn_rows = read_only_rows(slice_rows(taken, n_centres, n_centres + len(drawn)))
    centres = _centres(rows, n_terms)
    labels = np.zeros(n_docs, np.int32)
    with ThreadPoolExecutor(n_threads) as pool:
        for docs, vectors in source.documents():
            labels[docs] = _assigned(vectors, centres, n_centres, pool)
        groups = _grouped(rows, n_terms, rng, pool)
    return np.lexsort((labels, groups[labels])).astype(np.uint32), drawn_rows


def sums_of_bounds(source: Source, orders: Sequence[NDArray[np.integer]], block_size: int, seed: int) -> list[float]:
    """The sum of all terms' bounds (the largest weight in a block) of some whole blocks of documents in each order.

    The same blocks, drawn by ``seed``, for each of ``orders`` [n_docs], which hold one block at least. The lower an
    order's sum, the more alike neighbours are, and the more blocks a search leaves out. Walks over the documents once.
    Memory: the vectors of SAMPLED documents, or FEWEST_BLOCKS blocks, of each order.
    """
    n_blocks = len(orders[0]) // block_size
    n_drawn = min(max(SAMPLED // block_size, FEWEST_BLOCKS), n_blocks)
    blocks = np.sort(np.random.default_rng(seed).choice(n_blocks, n_drawn, replace=False))
    places = (blocks[:, None] * block_size + np.arange(block_size)).ravel()
    chosen = np.unique(np.concatenate([order[places] for order in orders]))
    rows = take(source, chosen)
    return [_sum_of_bounds(take_rows(rows, np.searchsorted(chosen, order[places])), block_size) for order in orders]


def _sum_of_bounds(rows: SparseRows, block_size: int) -> float:
    """The largest weight of each term in each ``block_size`` neighbouring rows, added up."""
    blocks = np.repeat(np.arange(len(rows.offsets) - 1) // block_size, np.diff(rows.offsets))
    in_order = np.lexsort((rows.columns, blocks))
    blocks, terms = blocks[in_order], rows.columns[in_order]
    starts = np.flatnonzero(np.r_[True, (blocks[1:] != blocks[:-1]) | (terms[1:] != terms[:-1])][: len(terms)])
    weights = rows.weights[in_order].astype(np.float64)
    return float(np.maximum.reduceat(weights, starts).sum()) if len(starts) else 0.0


def _centres(rows: SparseRows, n_terms: int) -> SparseRows:
    """Rows as postings, each row of length 1 as a vector."""
    numbers = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    lengths = np.sqrt(np.bincount(numbers, rows.weights.astype(np.float64) ** 2, len(rows.offsets) - 1))
    unit = (rows.weights / np.maximum(lengths, 1e-30)[numbers]).astype(np.float32)
    return transpose(rows._replace(weights=unit), n_terms)


def _grouped(rows: SparseRows, n_terms: int, rng: np.random.Generator, pool: ThreadPoolExecutor) -> NDArray[np.int32]:
    """The group of each centre, so that similar clusters are near each other as well."""
    n_centres = len(rows.offsets) - 1
    n_groups = min(GROUPS, n_centres)
    leaders = np.sort(rng.choice(n_centres, n_groups, replace=False))
    normal = transpose(_centres(rows, n_terms), n_centres)  # the rows again, of length 1
    return _assigned(normal, _centres(take_rows(normal, leaders), n_terms), n_groups, pool)


def _assigned(rows: SparseRows, centres: SparseRows, n_centres: int, pool: ThreadPoolExecutor) -> NDArray[np.int32]:
    """The centre that each row is most like."""
    labels = np.zeros(len(rows.offsets) - 1, np.int32)

    def task(first: int) -> None:
        assign(rows, first, min(first + TASK, len(labels)), centres, n_centres, TOP_TERMS, labels)

    list(pool.map(task, range(0, len(labels), TASK)))
    return labels
