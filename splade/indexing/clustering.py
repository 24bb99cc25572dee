"""An order of documents in which neighbours are alike, so that blocks of them have telling bounds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from splade.kernels.cluster import assign, chosen_postings, rows_between
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import transpose
from splade.records import SparseRows

CHUNK = 1 << 16  # documents whose vectors are held at a time
TASK = 1 << 11  # documents that a thread takes at a time
TOP_TERMS = 25  # of a document, by weight, that decide which centre it is like
MOST_CENTRES, GROUPS = 4096, 64


def cluster_order(postings: SparseRows, n_docs: int, seed: int, n_threads: int) -> NDArray[np.uint32]:
    """The document at each position, uint32 [n_docs].

    Some documents, drawn by ``seed``, are centres; each document goes to the centre it is most like,
    and centres are put in order by the same means, one level up. Within a cluster the order stays.
    Depends on nothing but postings and seed. Memory: 8 bytes per posting of 65536 documents, and
    12 per document.
    """
    rng = np.random.default_rng(seed)
    n_centres = int(min(MOST_CENTRES, max(4 * n_docs**0.5, 1), n_docs))
    chosen = np.sort(rng.choice(n_docs, n_centres, replace=False))
    postings = read_only_rows(postings)
    centres = _centres(postings, n_docs, chosen)
    with ThreadPoolExecutor(n_threads) as pool:
        labels = _label_documents(postings, n_docs, centres, n_centres, pool)
    groups = _label_centres(centres, n_centres, rng)
    return np.lexsort((labels, groups[labels])).astype(np.uint32)


def _centres(postings: SparseRows, n_docs: int, chosen: NDArray[np.int64]) -> SparseRows:
    """The chosen documents as postings, each of length 1 as a vector."""
    offsets, columns, weights = chosen_postings(postings, n_docs, chosen)
    lengths = np.sqrt(np.bincount(columns, weights.astype(np.float64) ** 2, len(chosen)))
    unit = (weights / np.maximum(lengths, 1e-30)[columns]).astype(np.float32)
    return read_only_rows(SparseRows(offsets, columns, unit))


def _label_documents(
    postings: SparseRows, n_docs: int, centres: SparseRows, n_centres: int, pool: ThreadPoolExecutor
) -> NDArray[np.int32]:
    labels = np.zeros(n_docs, np.int32)
    cursors = postings.offsets[:-1].copy()
    for first in range(0, n_docs, CHUNK):
        last = min(first + CHUNK, n_docs)
        offsets = np.zeros(last - first + 1, np.int64)
        terms, weights = rows_between(postings, cursors, first, last, offsets)
        _assign_all(offsets, terms, weights, centres, n_centres, labels[first:last], pool)
    return labels


def _label_centres(centres: SparseRows, n_centres: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """The group of each centre, so that similar clusters are near each other as well."""
    n_groups = min(GROUPS, n_centres)
    rows = transpose(centres, n_centres)
    leaders = np.sort(rng.choice(n_centres, n_groups, replace=False))
    labels = np.zeros(n_centres, np.int32)
    with ThreadPoolExecutor(1) as pool:
        _assign_all(*rows, _centres(centres, n_centres, leaders), n_groups, labels, pool)
    return labels


def _assign_all(
    offsets: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    centres: SparseRows,
    n_centres: int,
    labels: NDArray[np.int32],
    pool: ThreadPoolExecutor,
) -> None:
    rows = SparseRows(read_only(offsets), read_only(terms), read_only(weights))

    def task(first: int) -> None:
        assign(rows, first, min(first + TASK, len(labels)), centres, n_centres, TOP_TERMS, labels)

    list(pool.map(task, range(0, len(labels), TASK)))
