"""Count what an index holds, and estimate what a query costs on it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.indexing.format.choices import Layout
from splade.indexing.format.pruning import Pruned
from splade.indexing.index.inverted_index import Index
from splade.indexing.layout.fitting import Fit


def statistics(index: Index) -> dict[str, Any]:
    """Counts of an index, under the names that are reported.

    ``L0_d`` is the mean number of postings per document (0 without documents), ``empty_docs`` the
    documents without any, ``index_bytes`` the size of all arrays. Where documents were deleted or postings pruned,
    there is an account of these; the postings of deleted documents count until they are merged away. ``fit`` is what
    the size that was asked for cost.
    """
    first = index.parts[0].segment
    pruned = sum((part.segment.pruned for part in index.parts if part.segment.pruned), start=Pruned())
    return {
        "L0_d": index.n_postings / max(index.n_docs, 1),
        "n_docs": index.n_docs - index.n_deleted,
        "n_postings": index.n_postings,
        "vocab_size": index.vocab_size,
        "empty_docs": index.empty_docs,
        "index_bytes": index.n_bytes,
        **({"fit": _fit_told(first.fit, first.layout)} if first.fit else {}),
        **({"deleted_docs": index.n_deleted} if index.n_deleted else {}),
        **(
            {f"pruned_{name}": value for name, value in pruned._asdict().items()} | {"pruned_share": pruned.share}
            if any(pruned)
            else {}
        ),
    }


def _fit_told(fit: Fit, layout: Layout) -> dict[str, Any]:
    """The size that was asked for, the choices made for it, and the recall that they left."""
    changed = {name: value for name, value in layout.identity.items() if fit.asked.get(name) != value}
    return {"max_bytes": fit.max_bytes, "changed": changed, "recall": fit.recall, "n_queries": fit.n_queries}


def calibration_told(index: Index) -> dict[str, Any]:
    """Account of what approximate search may promise: the queries it comes from, and shares and recall by k.

    By part, where the index has several; empty where nothing is stored: then it is measured at the first search.
    """
    made = [part.segment.calibration for part in index.parts]
    told = {f"part {number}": one.told() for number, one in enumerate(made, 1) if one is not None}
    return told["part 1"] if len(made) == 1 and told else told


def posting_counts(index: Index) -> NDArray[np.int64]:
    """The number of documents that hold each term, deleted ones included until they are merged away; int64 [V]."""
    counts = np.zeros(index.vocab_size, np.int64)
    for part in index.parts:
        counts[: part.segment.vocab_size] += np.diff(part.segment.blocks.offsets)
    return counts


def expected_flops(
    document_counts: NDArray[np.integer], n_docs: int, query_counts: NDArray[np.integer], n_queries: int
) -> float:
    """Mean number of multiplications to score one document for one query.

    The sum over the whole vocabulary of p_q(j) · p_d(j), the shares of queries and of documents
    that hold term j (Paria et al., "Minimizing FLOPs to Learn Efficient Sparse Representations",
    2020). ``*_counts`` are the numbers of queries and documents that hold each term, [vocab_size].
    """
    if document_counts.shape != query_counts.shape:
        raise ValueError(
            f"document and query counts must cover one vocabulary, got {document_counts.shape} and {query_counts.shape}"
        )
    if n_docs < 1 or n_queries < 1:
        raise ValueError(f"FLOPS need documents and queries, got n_docs={n_docs} and n_queries={n_queries}")
    return float((document_counts / n_docs) @ (query_counts / n_queries))
