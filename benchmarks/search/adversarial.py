"""What makes pruning hopeless: there our exact strategies must not lose to scoring everything."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmarks.search.building import built
from benchmarks.search.comparison import Choices
from benchmarks.search.contestants import adversaries
from benchmarks.search.timing import in_turn, median, settings_of_machine, touched_by
from benchmarks.search.vectors import Collection

LONG = 20  # documents taken as queries
RESULTS = 4_000_000  # at most, of all queries together


class Case(NamedTuple):
    """One row: what is hard about it, the kind of index, the queries, k."""

    name: str
    kind: str
    queries: sp.csr_matrix
    k: int


def cases(collection: Collection, n_queries: int) -> list[Case]:
    """Random order, uniform weights, long queries, all documents asked for."""
    queries = {name: matrix[:n_queries] for name, matrix in collection.queries.items()}
    first, n_docs = next(iter(queries)), collection.vectors.n_docs
    flat = queries[first].copy()
    flat.data[:] = 1
    step = max(1, n_docs // LONG)
    documents = collection.vectors.mapped()
    long = sp.vstack([documents[doc] for doc in range(0, step * LONG, step) if doc < n_docs]).tocsr()
    few = queries[first][: max(1, RESULTS // n_docs)]
    return [
        *(
            Case(f"documents in no order, {name}", "in order", queries[name], k)
            for name in queries
            for k in (10, 100, 1000)
        ),
        *(Case(f"uniform weights of documents, {first}", "uniform weights", queries[first], k) for k in (10, 1000)),
        *(Case(f"uniform weights of both, {first}", "uniform weights", flat, k) for k in (10, 1000)),
        *(Case("documents as queries", "clustered", long, k) for k in (10, 100, 1000)),
        *(Case(f"k = N, {name}", "clustered", queries[name][: few.shape[0]], n_docs) for name in queries),
        Case(f"k = N, documents in no order, {first}", "in order", few, n_docs),
    ]


def compare_adversarial(collection: Collection, choices: Choices) -> dict[str, Any]:
    """Milliseconds of each strategy and, round by round, its ratio to the exhaustive one."""
    ready = adversaries()
    for kind in ready.values():
        for engine in kind:
            folder, _ = built(engine, collection.vectors, collection.folder / "indexes", choices.build_threads)
            engine.open(folder)
    rows = []
    for case in cases(collection, choices.queries):
        turns = in_turn(ready[case.kind], case.queries, case.k, choices.rounds)
        times = {engine.strategy: values for engine, values in turns.spent.items()}  # type: ignore[attr-defined]
        row: dict[str, Any] = {"case": case.name, "k": case.k, "queries": case.queries.shape[0]}
        row |= {strategy: median(values) for strategy, values in times.items()}
        for strategy in ("auto", "block_max"):
            row[f"{strategy}_ratio"] = median(list(np.divide(times[strategy], times["exhaustive"])))
        auto = next(engine for engine in ready[case.kind] if engine.name == "splade auto")
        row |= touched_by(auto, case.queries, case.k, collection.vectors.mass(case.queries), turns.seconds[auto])
        rows.append(row)
        print(
            f"{case.name} k={case.k}: auto {row['auto_ratio']:.2f} block_max {row['block_max_ratio']:.2f}", flush=True
        )
    setting = {"collection": collection.folder.name, "docs": collection.vectors.n_docs, "rounds": choices.rounds}
    return {"setting": setting | settings_of_machine(), "adversarial": rows}
