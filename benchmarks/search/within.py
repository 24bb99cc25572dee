"""The recall of indexes of given sizes: what a build tells of queries that it makes up, beside held-out queries.

    python -m benchmarks.search.within --vectors docs.npz queries.npz --bytes 7.5 5 4 3.5 3 2.5 2 --folder bench-data

For each number of bytes per posting of the documents as they come, the index is built with `config.index_max_bytes` of
so many. Recall is that of exact search in it beside exact search of all postings in float32, by document; milliseconds
are of the processor, for `auto` at k = 10, in turn with the whole index.
"""

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.search.held_out import PART, timed
from splade.files import write_json
from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.layout.fitting import said
from splade.indexing.layout.loss import KS
from splade.kernels.sparse import from_matrix
from splade.records import SparseBatch
from splade.search import Searcher

ROUNDS = 3


def main() -> None:
    """The command."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = _parser().parse_args()
    documents, queries = (sp.load_npz(path).tocsr().astype(np.float32) for path in options.vectors)
    documents.sort_indices()
    queries = queries[: options.queries]
    queries.sort_indices()
    name = options.name or options.vectors[0].resolve().parent.name
    place = options.folder / f"within-{name}"
    whole = built(documents, place / "whole", None)
    exact = Searcher(whole)
    truth = {k: exact.search_csr(queries, k)[0] for k in KS}
    rows = []
    for each in options.bytes:
        began = time.perf_counter()
        index = built(documents, place / f"{each:g}", each * documents.nnz)
        seconds = time.perf_counter() - began
        searcher = Searcher(index)
        assert index.fit is not None
        recall = {k: shared(searcher.search_csr(queries, k)[0], found) for k, found in truth.items()}
        ms, whole_ms = timed([searcher, exact], queries, 10, ROUNDS)
        rows.append(
            {
                "bytes": each, "taken": index.n_bytes / documents.nnz, "chosen": said(index.layout),
                "told": index.fit.recall, "recall": recall, "seconds": seconds, "ms": ms, "whole_ms": whole_ms,
                "kept": index.n_postings / documents.nnz,
            }
        )  # fmt: skip
        print(line(rows[-1]), flush=True)
    facts = {"documents": documents.shape[0], "terms": documents.nnz / documents.shape[0], "queries": queries.shape[0]}
    write_json(options.folder / f"within-{name}.json", facts | {"rows": rows})
    print("\n".join([*HEAD, *map(line, rows)]))


HEAD = [
    "| bytes | taken | chosen | postings | told, k = 10, 100, 1000 | held-out | ms, whole index | build, s |",
    "|---|---|---|---|---|---|---|---|",
]


def line(row: dict[str, Any]) -> str:
    """The row of a table."""
    told = " ".join(f"{row['told'].get(str(k), 1):.4f}" for k in KS)
    found = " ".join(f"{value:.4f}" for value in row["recall"].values())
    times = f"{row['ms']:.3f}, {row['whole_ms']:.3f}"
    return (
        f"| {row['bytes']:g} | {row['taken']:.2f} | {row['chosen']} | {row['kept']:.0%} | {told} | {found} | {times} | "
        f"{row['seconds']:.0f} |"
    )


def built(documents: sp.csr_matrix, path: Path, max_bytes: float | None) -> InvertedIndex:
    """The index at ``path``, built anew."""
    shutil.rmtree(path, ignore_errors=True)
    builder = IndexBuilder(path, documents.shape[1], max_bytes=max_bytes)
    for first in range(0, documents.shape[0], PART):
        part = documents[first : first + PART]
        ids = tuple(str(first + row) for row in range(part.shape[0]))
        builder.add(SparseBatch(ids, from_matrix(part).rows, documents.shape[1]))
    return builder.finish()


def shared(found: np.ndarray, true: np.ndarray) -> float:
    """The mean share of the documents of ``true`` [Q, k] that are in the same row of ``found``."""
    return float(np.mean([np.isin(wanted, got).mean() for wanted, got in zip(true, found, strict=True)]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--vectors", type=Path, nargs=2, required=True, help="CSR files of scipy.sparse.save_npz: documents, queries")
    add("--bytes", type=float, nargs="+", default=[7.5, 5, 4, 3.5, 3, 2.5, 2, 1.5], help="per posting")
    add("--queries", type=int, default=500, help="asked, at most")
    add("--folder", type=Path, default=Path("bench-data"), help="of indexes and results")
    add("--name", help="of the collection; the documents' folder otherwise")
    return parser


if __name__ == "__main__":
    main()
