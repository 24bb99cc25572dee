"""A synthetic collection with the ten exact best documents of each query as its judgements.

    python -m benchmarks.tradeoffs.synthetic experiments/tradeoffs/synthetic

Writes ``documents.npz``, ``queries.npz`` and ``qrels.tsv``, which ``python -m splade.tradeoffs`` reads: recall_10 is
then the share of the exact results that a point still finds.
"""

import argparse
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.search.collection import generate
from splade.files import whole_file
from splade.indexing import InvertedIndex
from splade.search import Searcher

K = 10


def save(path: Path, matrix: sp.csr_matrix, prefix: str) -> None:
    """A CSR matrix, its rows called by ``prefix`` and their number."""
    ids = np.array([f"{prefix}{row}" for row in range(matrix.shape[0])])
    arrays = {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data, "shape": matrix.shape}
    with whole_file(path, "wb") as stream:
        np.savez(stream, format=np.array("csr"), ids=ids, **arrays)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--set", default="pp", help="pp, v3 or eff: queries of some 43, 25 or 6 terms")
    options = parser.parse_args()
    drawn = generate(
        options.docs, lambda _, length, dtype: np.empty(length, dtype), n_queries=options.queries, flatness=None
    )  # the decays that the page was measured with
    documents, queries = drawn.documents, drawn.queries[options.set].tocsr()
    save(options.out / "documents.npz", documents, "d")
    save(options.out / "queries.npz", queries, "q")
    found, _ = Searcher(InvertedIndex.from_csr(documents), "exhaustive").search_csr(queries, K)
    with whole_file(options.out / "qrels.tsv") as stream:
        stream.write("query-id\tcorpus-id\tscore\n")
        for query, docs in enumerate(found):
            stream.writelines(f"q{query}\td{doc}\t1\n" for doc in docs if doc >= 0)


if __name__ == "__main__":
    main()
