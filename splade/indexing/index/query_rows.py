"""Queries as rows over the terms of an index."""

from typing import Any

from splade.files import InputError
from splade.kernels.sparse import from_matrix
from splade.records import SparseRows


def query_rows(queries: Any, vocab_size: int) -> SparseRows:
    """The rows of ``queries``, a CSR matrix, `SparseRows` or a `SparseBatch`; InputError for another vocabulary."""
    rows, width, _ = from_matrix(queries, vocab_size)
    if width not in (None, vocab_size):
        raise InputError(
            f"queries over {width} terms cannot search an index over {vocab_size} terms: "
            "encode them with the model (and tokenizer) that encoded the documents"
        )
    return rows
