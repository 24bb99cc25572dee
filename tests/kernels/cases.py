"""Collections and an oracle for the tests of kernels, index and search."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splade.kernels.sparse import from_dense
from splade.records import SparseBatch


def dense_matrices(min_rows=0, max_rows=12, width=7, ties=False):
    """Matrices [N, width], mostly zeros; with ``ties``, of small whole numbers so that scores often agree."""
    value = st.sampled_from([1.0, 2.0]) if ties else st.floats(0.0009765625, 64, width=32)
    return st.integers(min_rows, max_rows).flatmap(
        lambda n: hnp.arrays(np.float32, (n, width), elements=st.one_of(st.just(0.0), st.just(0.0), value))
    )


def batch(matrix, prefix="d", first=0):
    """The rows of a dense matrix, called ``prefix`` and their number."""
    matrix = np.asarray(matrix, np.float32)
    ids = tuple(f"{prefix}{first + i}" for i in range(len(matrix)))
    return SparseBatch(ids, from_dense(matrix), matrix.shape[1])


def random_batch(seed, n, width, density=0.2, prefix="d", first=0):
    """``n`` random vectors; the first and the last term occur."""
    rng = np.random.default_rng(seed)
    matrix = rng.random((n, width), np.float32) * (rng.random((n, width)) < density)
    matrix[::2, 0] = 0.5
    matrix[::3, -1] = 0.25
    return batch(matrix, prefix, first)


def brute_force(documents, queries, k, threshold=0.0, allowed=None):
    """Document numbers and scores [Q, k] from dense scores, sorted by score, then by number."""
    docs = np.full((len(queries), k), -1, np.int32)
    scores = np.zeros((len(queries), k), np.float32)
    for q, query in enumerate(queries):
        total = np.zeros(len(documents), np.float32)
        for term in range(documents.shape[1]):
            total += query[term] * documents[:, term]
        kept = total > np.float32(threshold)
        if allowed is not None:
            kept &= allowed
        numbers = np.flatnonzero(kept)
        best = numbers[np.lexsort((numbers, -total[numbers]))][:k]
        docs[q, : len(best)] = best
        scores[q, : len(best)] = total[best]
    return docs, scores
