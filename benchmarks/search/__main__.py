"""Builds and times search engines on one synthetic collection, interleaved, and writes the comparison.

    OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 python -m benchmarks.search --docs 1000000 --folder bench-data

Engines whose package is not installed are left out and named. Every engine answers the same queries in
turn, round after round; a figure is the median over rounds of the mean milliseconds of processor time per
query. Recall counts a returned document if its exact score reaches the k-th best.
"""

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.collection import QUERY_SETS, stored
from benchmarks.search.engines import DictOfLists, Engine, Ours, Scipy, Sindi, SpladeIndex
from benchmarks.search.native import Lucene, Pisa, Seismic
from benchmarks.search.report import write_report
from splade.files import write_json

ROUNDS = 5


def engines(n_threads: int) -> list[Engine]:
    """Everything that is compared."""
    ours = [
        Ours("auto", n_threads=n_threads),
        Ours("auto", "uint8", n_threads=n_threads),
        Ours("exhaustive", n_threads=n_threads),
        *(Ours("approximate", recall=recall, n_threads=n_threads) for recall in (0.97, 0.98, 0.99)),
    ]
    if n_threads > 1:
        return [*ours]
    points = [(3, 0.8), (5, 0.7), (5, 0.9), (8, 0.8), (8, 0.9), (12, 0.9), (12, 1.0)]
    peers = [SpladeIndex(), Sindi(), Pisa("maxscore"), Pisa("block_max_wand"), Pisa("ranked_or_taat")]
    return [*ours, *peers, *(Seismic(*point) for point in points), Lucene(), DictOfLists(), Scipy()]


def recall(docs: NDArray[np.int64], queries: sp.csr_matrix, documents: sp.csr_matrix, bars: NDArray[Any]) -> float:
    """Mean share of the k results whose exact score reaches the k-th best, as float32 sums may differ."""
    shares = []
    for q, found in enumerate(docs):
        scores = documents[found[found >= 0]] @ queries[q].toarray().ravel()
        shares.append(np.count_nonzero(scores >= bars[q] - 1e-4) / len(found))
    return float(np.mean(shares))


def built(
    candidates: list[Engine], documents: sp.csr_matrix, folder: Path
) -> tuple[list[Engine], list[dict[str, Any]]]:
    """The engines that could be built, and what building took."""
    ready, notes = [], []
    for engine in candidates:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        try:
            engine.build(documents, folder)
        except (ImportError, KeyError, ValueError, OSError) as error:
            print(f"left out: {engine.name}: {type(error).__name__} {error}", flush=True)
            continue
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        seconds = time.perf_counter() - start
        notes.append({"engine": engine.name, "build_s": seconds, "peak_growth_mb": grown / 1024, "bytes": engine.bytes})
        print(f"built: {engine.name} {seconds:.1f} s", flush=True)
        ready.append(engine)
    return ready, notes


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("bench-data"))
    parser.add_argument("--queries", type=int, default=100, help="of each set")
    parser.add_argument("--sets", nargs="+", default=list(QUERY_SETS), choices=list(QUERY_SETS))
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engines", nargs="+", default=[""], help="only those whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    collection = stored(options.folder, options.docs, seed=7)
    folder = options.folder / f"indexes-{options.docs}"
    wanted = [e for e in engines(options.threads) if any(part.lower() in e.name.lower() for part in options.engines)]
    ready, notes = built(wanted, collection.documents, folder)
    truth = Ours("reference")
    truth.build(collection.documents, folder)
    rows = []
    for name in options.sets:
        queries = collection.queries[name][: options.queries]
        for k in options.k:
            _, scores = truth.searcher.search_csr(queries, k, n_threads=2)
            times: dict[str, list[float]] = {engine.name: [] for engine in ready}
            answers: dict[str, NDArray[np.int64]] = {}
            for round_number in range(options.rounds + 1):
                for engine in ready:
                    answers[engine.name], seconds = engine.search(queries, k)
                    if round_number:  # the first warms caches and compiles
                        times[engine.name].append(float(seconds.mean()) * 1e3)
            for engine in ready:
                share = recall(answers[engine.name], queries, collection.documents, scores[:, -1])
                rows.append(
                    {"engine": engine.name, "queries": name, "k": k, "ms": float(np.median(times[engine.name])),
                     "fastest_round_ms": min(times[engine.name]), "recall": share}
                )  # fmt: skip
                print(f"{name} k={k} {engine.name}: {rows[-1]['ms']:.3f} ms, recall {share:.4f}", flush=True)
    setting = {"docs": options.docs, "queries": options.queries, "threads": options.threads, "rounds": options.rounds}
    result = {"setting": setting, "built": notes, "searches": rows}
    target = options.folder / f"search-{options.docs}-{options.threads}"
    write_json(target.with_suffix(".json"), result)
    write_report(result, target)


if __name__ == "__main__":
    main()
