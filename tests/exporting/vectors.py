"""Vectors for tests of exports, and matrices of what was written."""

import numpy as np

from splade.exporting.target import Observed
from splade.kernels.sparse import from_dense, to_dense
from splade.records import SparseBatch


def batch_of(matrix, prefix="d", ids=None):
    """The rows of a matrix as a batch of texts called ``d0``, ``d1`` …"""
    matrix = np.asarray(matrix, np.float32)
    return SparseBatch(
        tuple(ids or (f"{prefix}{row}" for row in range(len(matrix)))), from_dense(matrix), matrix.shape[1]
    )


def observed(batch):
    """What an export tells its target before documents are written."""
    weights = batch.rows.weights
    return Observed(len(batch.ids), len(weights), batch.vocab_size, float(weights.max(initial=0)))


def written(target, folder, documents, queries, words):
    """Write documents and queries as `splade.export` does; what is read back, as matrices by id."""
    target.prepare(observed(documents))
    target.documents_in = folder
    assert target.write_documents(folder, [(documents, [""] * len(documents.ids))], words).n_texts == len(documents.ids)
    assert target.write_queries(folder, [queries], words).n_texts == len(queries.ids)
    return matrix(target.read_documents(folder, words)), matrix(target.read_queries(folder, words))


def matrix(batches):
    """Rows by id of all batches."""
    found = {}
    for batch in batches:
        found |= dict(zip(batch.ids, to_dense(batch.rows, batch.vocab_size), strict=True))
    return found
