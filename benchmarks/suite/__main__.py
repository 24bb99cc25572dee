"""A suite of real sets with one model, BM25, a dense model and their fusions, compared with tests of significance.

    python -m benchmarks.suite --data ../shared/data --sparse MODEL --dense MODEL --out experiments/suite

What is done is kept, so an interrupted run continues.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.fusion import ReciprocalRank
from splade.evaluation.measured import measured
from splade.evaluation.runs import cut_run, keep_run, run_at
from splade.results import read_result, write_result
from splade.suites import parts_of, sets_of

SETS = {"test": ("adi", "cacm", "cranfield", "scifact", "vaswani"), "dev": ("squad", "medquad")}
METRICS = ("ndcg_cut_10", "recall_100", "mrr_10")
FUSIONS = {
    "splade+bm25": ("splade", "bm25"),
    "dense+bm25": ("dense", "bm25"),
    "all three": ("splade", "bm25", "dense"),
}
TOP_K = 100


def main() -> None:
    """Run every system on every set, fuse, and compare."""
    asked = _arguments()
    given = {"init_dict.model_type_or_dir": "{}", "config.pretrained_no_yamlconfig": "true"}
    systems = {"bm25": ["engine=bm25"]}
    for name, folder in (("splade", asked.sparse), ("dense", asked.dense)):
        systems[name] = [f"{address}={value.format(folder)}" for address, value in given.items()]
        systems[name] += [f"config.max_length={asked.length}", f"config.max_length_q={asked.length}"]
    systems["dense"].append("config.matching_type=dense")
    for name, settings in systems.items():
        for split, sets in SETS.items():
            evaluate(asked, name, [*settings, f"+beir.dataset=[{','.join(sets)}]", f"+beir.split={split}"])
    for split, sets in SETS.items():
        for one in sets:
            for name, parts in FUSIONS.items():
                fuse(asked, name, parts, one, split)
    compared = (*systems, *FUSIONS)
    folders = [str(asked.out / "out" / name / "beir") for name in compared]
    splade(
        "compare", f"compare.runs=[{','.join(folders)}]", f"compare.metrics=[{METRICS[0]}]",
        f"compare.names=[{','.join(compared)}]", f"compare.out_dir={asked.out / 'compared'}",
    )  # fmt: skip


def evaluate(asked: argparse.Namespace, system: str, settings: list[str]) -> None:
    """Evaluate one system on the sets of one split."""
    splade(
        "beir_eval", *settings, f"+beir.dataset_path={asked.data}", "+beir.self_matches=off", f"config.top_k={TOP_K}",
        f"+beir.metrics=[{','.join(METRICS)}]", f"config.system_name={system}",
        f"config.index_dir={asked.out / 'index' / system}", f"config.out_dir={asked.out / 'out' / system}",
    )  # fmt: skip


def fuse(asked: argparse.Namespace, name: str, systems: tuple[str, ...], one: str, split: str) -> None:
    """Write the result of fusing the runs of ``systems`` on a set by reciprocal ranks."""
    results = [read_result(asked.out / "out" / system / "beir" / one) for system in systems]
    run = cut_run(ReciprocalRank()([run_at(result.folder) for result in results]), TOP_K)
    qrels = parts_of(sets_of(one, split)[0], str(asked.data), alone=False).qrels
    found = measured(run, qrels, METRICS, Conventions(), SelfMatches("off", one))
    folder = asked.out / "out" / name / "beir" / one
    keep_run(folder, run, tag=name.replace(" ", "-"))
    write_result(folder, found.metrics, {"dataset": one, "system": name, **found.details}, found.per_query)


def splade(*arguments: str) -> None:
    """Run one command of the project, as a user does."""
    print("$ python -m splade." + " ".join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", f"splade.{arguments[0]}", *arguments[1:]], check=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description="Evaluate and compare systems.")
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR's layout")
    parser.add_argument("--sparse", required=True, help="folder of the sparse model")
    parser.add_argument("--dense", required=True, help="folder of the dense model")
    parser.add_argument("--out", type=Path, default=Path("experiments/suite"))
    parser.add_argument("--length", type=int, default=64, help="tokens that are read of documents and of queries")
    return parser.parse_args()


if __name__ == "__main__":
    main()
