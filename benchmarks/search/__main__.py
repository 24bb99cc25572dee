"""Builds and times search engines on one collection, interleaved, and writes the comparison.

    python -m benchmarks.search --docs 1000000 --folder bench-data

Engines whose package is not installed are left out and named. Each index is built in a process of its own,
once; a later run opens it. Every engine answers the same queries in turn, round after round; a figure is the
median over rounds of the mean milliseconds of processor time per query. Batches on one or several threads
are timed by the clock on the wall. Recall counts a returned document if its exact score reaches the last of
the exact results. Writes ``search-COLLECTION`` .json, .md and .png, and the verdicts on targets as ``targets.md``.
"""

import argparse
import os
from pathlib import Path
from typing import Any


def main() -> None:
    """The command."""
    options = _parser().parse_args()
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):  # before any engine starts its threads
        os.environ.setdefault(name, str(max([1, *options.threads])))
    if options.before:
        os.environ["SPLADE_BENCHMARK_BEFORE"] = str(options.before.resolve())
    from benchmarks.search import summary, vectors

    shuffled = options.order == "random"
    if not options.vectors:
        _run(vectors.synthetic(options.folder, options.docs), options, shuffled)
    for files in options.vectors:
        sample = files[0].parent / options.calibrate if options.calibrate else None
        _run(vectors.given(options.folder, files, calibration=sample, shuffled=shuffled), options, shuffled)
    if not options.build_only:
        summary.write(options.folder)


def _run(collection: Any, options: argparse.Namespace, shuffled: bool) -> None:
    """Build for one collection, measure and write."""
    from benchmarks.search import comparison, contestants, report
    from benchmarks.search.adversarial import compare_adversarial
    from splade.files import write_json

    choices = comparison.Choices(
        queries=options.queries, sets=options.sets, k=options.k, threads=options.threads, batch=options.batch,
        batch_k=options.batch_k or options.k, engines=options.engines, rounds=options.rounds,
        auto_rounds=options.auto_rounds, build_threads=options.build_threads, rebuild=options.rebuild,
        in_order=shuffled,
    )  # fmt: skip
    comparison.forget(collection, choices)
    if options.build_only:
        everything = contestants.engines(collection.vectors.n_docs, in_order=shuffled)
        comparison.build_all(everything, collection, choices)
        return
    named = collection.folder.name + ("-random" if shuffled and not options.vectors else "")
    if options.adversarial:
        result, target = compare_adversarial(collection, choices), options.folder / f"adversarial-{named}"
    else:
        result, target = comparison.compare(collection, choices), options.folder / f"search-{named}"
    target = target.with_name(f"{options.tag}-{target.name}" if options.tag else target.name)
    write_json(target.with_name(target.name + ".json"), result)
    report.write_report(result, target)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--docs", type=int, default=100_000, help="of the synthetic collection")
    add(
        "--vectors", type=Path, nargs="+", action="append", default=[],
        help="instead: CSR files of scipy.sparse.save_npz, documents then queries; may be given several times",
    )  # fmt: skip
    add("--calibrate", help="a file of queries beside the documents, to calibrate approximate search with")
    add("--order", choices=["given", "random"], default="given", help="random: shuffled, and ours leaves them so")
    add("--folder", type=Path, default=Path("bench-data"), help="of collections, indexes and results")
    add("--queries", type=int, default=50, help="of each set")
    add("--sets", nargs="+", default=[], help="query sets, all of them unless told otherwise")
    add("--k", type=int, nargs="+", default=[10, 100, 1000])
    add("--threads", type=int, nargs="+", default=[], help="of batches, which are timed by the wall: 1 2, for instance")
    add("--batch", type=int, default=200, help="queries in a batch")
    add("--batch-k", type=int, nargs="+", default=[], help="k of batches, if not all")
    add("--engines", nargs="+", default=[""], help="only those whose name contains one of these")
    add("--rounds", type=int, default=3, help="more on a machine that others use")
    add("--auto-rounds", type=int, default=15, help="of our exact strategies beside each other; 0 leaves them out")
    add("--before", type=Path, help="a checkout of an older version, whose exact searches are run beside ours")
    add("--build-threads", type=int, default=2)
    add("--rebuild", nargs="+", default=[], help="build again what is built under a name that contains one of these")
    add("--tag", default="", help="before the names of the results, which otherwise replace those of an earlier run")
    add("--build-only", action="store_true", help="build what is not built, and stop")
    add("--adversarial", action="store_true", help="instead: our exact strategies where pruning is hopeless")
    return parser


if __name__ == "__main__":
    main()
