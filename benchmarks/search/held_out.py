"""The recall that approximate search promises, beside the recall of queries that it has not seen.

    python -m benchmarks.search.held_out --vectors docs.npz queries.npz --calibration others.npz --folder bench-data

The index is built once per collection, which calibrates it with queries made up from documents, and is then
calibrated again with the other queries (without --calibration, every second query of the set). The rest is asked:
for each k and recall, the recall found over all queries, the lowest of any group of query length that has --fewest
or more; the same by bounds alone, which is what a search is promised however it is planned (small collections are
mostly scored whole); postings touched, and milliseconds of processor time per query, beside exact search. A document is
found if its score reaches the k-th best exact score. A cell misses its promise where recall is below the recall asked
less .01, over all queries or in a group.
"""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.timing import median
from splade.files import write_json
from splade.indexing import IndexBuilder, InvertedIndex, SegmentedIndex, calibrate_stored
from splade.indexing.layout.calibration import recall_of
from splade.indexing.layout.promise import GROUPS, terms_said
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import from_matrix
from splade.records import SparseBatch
from splade.search import Searcher

PART = 20_000  # documents handed to the builder at a time
ROUNDS = 3
PROMISED = 0.01  # less than asked, at most


class Row(NamedTuple):
    """One cell of the table: what was asked, and what held-out queries found."""

    k: int
    asked: float
    calibrated_on: str
    recall: float
    error: float  # standard error of the mean over queries
    lowest: float  # of the groups with enough queries
    lowest_group: str
    by_bounds: float  # recall if nothing was found but where a share of the bound reaches the k-th best score
    by_bounds_lowest: float
    postings: float  # touched, as a share of those of exact search
    ms: float
    exact_ms: float

    @property
    def kept(self) -> bool:
        """True where no group found less than was promised."""
        return min(self.recall, self.lowest) >= self.asked - PROMISED

    @property
    def kept_by_bounds(self) -> bool:
        """True where bounds alone keep it too; at k = 1 a group of 100 queries has a standard error of .02."""
        return min(self.by_bounds, self.by_bounds_lowest) >= self.asked - PROMISED


def main() -> None:
    """The command."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = _parser().parse_args()
    documents, queries = (sp.load_npz(path).tocsr().astype(np.float32) for path in options.vectors)
    if options.calibration:
        others, asked, source = sp.load_npz(options.calibration).tocsr().astype(np.float32), queries, "other queries"
    else:
        others, asked, source = queries[1::2], queries[::2], "every second query"
    name = options.name or options.vectors[0].resolve().parent.name
    path = options.folder / f"held-out-{name}"
    made_up = built(documents, path)
    own = calibrate_stored(path, from_matrix(others).rows, source, n_threads=options.threads)
    asked = asked[: options.queries]
    assert not isinstance(own, SegmentedIndex)  # nothing was appended to it
    indexes = {"made up": made_up, "own": own}
    rows = list(measured(indexes, asked, options.k, options.recall, options.fewest, options.rounds))
    facts = {
        "documents": documents.shape[0], "terms_d": documents.nnz / documents.shape[0],
        "asked": asked.shape[0], "terms_q": asked.nnz / asked.shape[0], "calibrated_with": others.shape[0],
        "fewest": options.fewest,
    }  # fmt: skip
    write_json(options.folder / f"held-out-{name}.json", facts | {"rows": [row._asdict() for row in rows]})
    print(table(name, facts, rows))


def built(documents: sp.csr_matrix, path: Path) -> InvertedIndex:
    """The index at ``path``, built there unless it stands, with the calibration of its build alone."""
    documents.sort_indices()
    if not (path / "inverted_index").is_dir():
        builder = IndexBuilder(path, documents.shape[1])
        for first in range(0, documents.shape[0], PART):
            part = documents[first : first + PART]
            ids = tuple(str(first + row) for row in range(part.shape[0]))
            builder.add(SparseBatch(ids, from_matrix(part).rows, documents.shape[1]))
        builder.finish()
    return InvertedIndex.open_base(path, verify=False)


def measured(
    indexes: dict[str, InvertedIndex],
    queries: sp.csr_matrix,
    ks: list[int],
    recalls: list[float],
    fewest: int,
    rounds: int = ROUNDS,
) -> Iterator[Row]:
    """The rows of each calibration, k and recall, on the same queries."""
    queries.sort_indices()
    lengths = np.diff(queries.indptr)
    groups = np.clip(np.frexp(lengths.astype(np.float64))[1] - 1, 0, GROUPS - 1)
    first = next(iter(indexes.values()))
    positions = np.empty(first.n_docs, np.uint32)
    positions[first.blocks.order] = np.arange(first.n_docs, dtype=np.uint32)
    by_share = recall_of(first.blocks, read_only_rows(from_matrix(queries).rows), tuple(ks), read_only(positions))
    exact = Searcher(first, "auto")
    for number, k in enumerate(ks):
        bars = exact.search_csr(queries, k)[1][:, -1:]
        work = exact.count(queries, k).postings.sum()
        for name, index in indexes.items():
            for asked in recalls:
                searcher = Searcher(index, "approximate", recall=asked)
                found = (searcher.search_csr(queries, k)[1] >= bars).mean(axis=1)
                worst, group = _lowest(found, groups, fewest)
                touched = searcher.count(queries, k).postings.sum() / max(work, 1)
                assert index.calibration is not None
                chosen = index.calibration.chosen(k, k, asked)[groups]
                bounded = by_share[number, np.arange(len(chosen)), chosen]
                ms, exact_ms = timed([searcher, exact], queries, k, rounds) if rounds else [0.0, 0.0]
                yield Row(
                    k=k, asked=asked, calibrated_on=name,
                    recall=float(found.mean()), error=float(found.std() / len(found) ** 0.5),
                    lowest=worst, lowest_group=group,
                    by_bounds=float(bounded.mean()), by_bounds_lowest=_lowest(bounded, groups, fewest)[0],
                    postings=float(touched), ms=ms, exact_ms=exact_ms,
                )  # fmt: skip


def _lowest(found: NDArray[np.float64], groups: NDArray[np.integer], fewest: int) -> tuple[float, str]:
    means = {
        int(group): float(found[groups == group].mean())
        for group in np.unique(groups)
        if (groups == group).sum() >= fewest
    }
    if not means:
        return float(found.mean()), "all"
    group = min(means, key=lambda one: means[one])
    return means[group], f"{terms_said(group)}, {int((groups == group).sum())} queries"


def timed(searchers: list[Searcher], queries: sp.csr_matrix, k: int, rounds: int) -> list[float]:
    """Milliseconds of processor time per query of each searcher, asked one by one in turn; medians of rounds."""
    parts = [queries[q] for q in range(min(queries.shape[0], 100))]
    seconds: list[list[float]] = [[] for _ in searchers]
    for _ in range(rounds):
        for place, searcher in enumerate(searchers):
            began = time.thread_time()
            for part in parts:
                searcher.search_csr(part, k)
            seconds[place].append(1000 * (time.thread_time() - began) / len(parts))
    return [median(values) for values in seconds]


def table(name: str, facts: dict[str, Any], rows: list[Row]) -> str:
    """The rows as Markdown: for each k and recall asked, what each calibration kept, and its speed."""
    lines = [
        f"{name}: {facts['documents']:,} documents of {facts['terms_d']:.0f} terms; {facts['asked']:,} held-out "
        f"queries of {facts['terms_q']:.0f} terms, {facts['calibrated_with']:,} others to calibrate with",
        "",
        "| k | asked | made up: recall (lowest) | by bounds | postings | own: recall (lowest) | by bounds | postings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[tuple[int, float], dict[str, Row]] = {}
    for row in rows:
        kinds.setdefault((row.k, row.asked), {})[row.calibrated_on] = row
    for (k, asked), found in kinds.items():
        cells = [
            f"{_short(row.recall)} ({_short(row.lowest)}) | {_short(row.by_bounds)} ({_short(row.by_bounds_lowest)}) | "
            f"{row.postings:.2f}"
            for row in found.values()
        ]
        lines.append(f"| {k} | {_short(asked)} | {' | '.join(cells)} |")
    missed = [row for row in rows if not (row.kept and row.kept_by_bounds)]
    kept, bounded = (sum(getattr(row, name) for row in rows) for name in ("kept", "kept_by_bounds"))
    lines += ["", f"{kept} of {len(rows)} cells keep the promise, {bounded} by bounds alone"]
    lines += [
        f"- {'missed by bounds alone' if row.kept else 'missed'}: k = {row.k}, asked {_short(row.asked)}, "
        f"{row.calibrated_on}: {_short(row.recall)}, "
        f"lowest {_short(row.lowest)} ({row.lowest_group}), by bounds {_short(row.by_bounds_lowest)}"
        for row in missed
    ]
    return "\n".join(lines)


def _short(value: float) -> str:
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return text.removeprefix("0")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--vectors", type=Path, nargs=2, required=True, help="CSR files of scipy.sparse.save_npz: documents, queries")
    add("--calibration", type=Path, help="CSR file of other queries; every second of the queries otherwise")
    add("--folder", type=Path, default=Path("bench-data"), help="of indexes and results")
    add("--name", help="of the collection; the documents' folder otherwise")
    add("--k", type=int, nargs="+", default=[1, 10, 30, 100, 1000])
    add("--recall", type=float, nargs="+", default=[0.95, 0.97, 0.99, 0.995])
    add("--queries", type=int, default=1000, help="asked, at most")
    add("--fewest", type=int, default=50, help="queries of a group of length that is told apart")
    add("--rounds", type=int, default=ROUNDS, help="of timing, which goes into the JSON file alone; 0 for none")
    add("--threads", type=int, default=1, help="of the calibration")
    return parser


if __name__ == "__main__":
    main()
