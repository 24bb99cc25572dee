"""Ours and sentence-transformers' sparse training from the same start, data and budget, and BM25 beside them.

    pip install -c constraints.txt -e '.[benchmarks]' sentence-transformers datasets accelerate
    OMP_NUM_THREADS=1 python -m benchmarks.head_to_head --data ../shared/data --out experiments/head_to_head

Every stage is skipped where its result is there already, so an interrupted run continues. Writes OUT/results.json and
prints the tables of README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.head_to_head.sample import bm25_negatives, make_sample
from benchmarks.head_to_head.tables import tables
from benchmarks.real_data.run import bm25, encoder_folder
from splade.files import write_json
from splade.models import Splade
from splade.models.bm25 import EXPANSION

HERE = Path(__file__).resolve().parent
SPLITS = {"squad": "dev", "medquad": "dev", "scifact": "test", "cranfield": "test", "vaswani": "test"}
TRAINED_ON = ("squad", "medquad")
FAR = ("scifact", "cranfield", "vaswani")
THEIRS, PLAIN, OURS, INSIDE = "theirs", "ours, their recipe", "ours without BM25", "ours"
KEYS = {THEIRS: "theirs", PLAIN: "plain", OURS: "mined"}  # folders of what is trained
FLOPS_MARGIN = 1.1
SAMPLES = "neighbours"  # folder of the training questions that settings are chosen on
SEED = 1  # of config.yaml
METRICS = ("ndcg_cut_10", "mrr_10", "recall_100")


def main() -> None:
    """The command."""
    options = _options()
    start = start_from(options.out / "start")
    results: dict[str, Any] = {
        "setting": {name: str(value) for name, value in vars(options).items()},
        "seed": SEED,
        "runs": [],
    }
    results["bm25"] = {name: bm25(options.data, name, SPLITS[name]) for name in SPLITS}
    for trained_on in options.trained_on:
        make_sample(options.data, trained_on, options.out / SAMPLES / trained_on)
        runs = list(tried(start, options, trained_on))
        theirs_best, ours_best = chosen(runs)
        for best in (theirs_best, ours_best):
            best["chosen"] = True
            best["sets"] = {trained_on: evaluate(best, options, trained_on)}
            best["sets"] |= {name: evaluate(as_elsewhere(best), options, name) for name in FAR}
        bring_to_flops(options, ours_best, [run for run in runs if run["package"] == THEIRS])
        if options.ablation:
            plain = trained(start, options, trained_on, theirs_best["weight"], PLAIN)
            plain["sample"] = evaluate(plain, options, f"{SAMPLES}/{trained_on}")
            plain["sets"] = {trained_on: evaluate(plain, options, trained_on)}
            runs.append(plain)
        for seed in options.seeds:
            runs += list(with_another_seed(start, options, seed, theirs_best, ours_best))
        results["runs"] += runs
    write_json(options.out / "results.json", results)
    print(tables(results))


def chosen(runs: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Theirs with the best nDCG on the sample, and ours, which has at most a tenth more FLOPS there."""
    theirs = _best(run for run in runs if run["package"] == THEIRS)
    allowed = FLOPS_MARGIN * float(theirs["sample"]["flops"])
    return theirs, _best(run for run in runs if run["package"] == INSIDE and run["sample"]["flops"] <= allowed)


def _best(runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return max(runs, key=lambda run: float(run["sample"]["ndcg_cut_10"]))


def bring_to_flops(options: argparse.Namespace, ours: dict[str, Any], theirs: list[dict[str, Any]]) -> None:
    """Try theirs with larger λ, too, on each set where they have more FLOPS, until they have at most a tenth more.

    So on every set there is a model of theirs that costs no less than ours, one that costs about as much or less,
    or the largest λ.
    """
    for name, mine in ours["sets"].items():
        tried_at = max(run["weight"] for run in theirs if name in run.get("sets", ()))
        heavier = sorted((run for run in theirs if run["weight"] >= tried_at), key=lambda run: float(run["weight"]))
        for run in heavier:
            found = run.setdefault("sets", {})
            if name not in found:
                found[name] = evaluate(run, options, name)
            if found[name]["flops"] <= FLOPS_MARGIN * mine["flops"]:
                break


def as_elsewhere(run: dict[str, Any]) -> dict[str, Any]:
    """The model as it is used on a collection without training questions, which could choose no weight of BM25."""
    return run | {"expansion": EXPANSION} if "expansion" in run else run


def tried(start: Path, options: argparse.Namespace, name: str) -> Iterator[dict[str, Any]]:
    """Both packages with every weight of FLOPS, ours with BM25 inside, too; how they do on the sample."""
    for weight in options.weights:
        for package in (THEIRS, OURS):
            run = trained(start, options, name, weight, package)
            yield run | {"sample": evaluate(run, options, f"{SAMPLES}/{name}")}
        for expansion in options.expansions:
            inside = run | {"package": INSIDE, "expansion": expansion}
            yield inside | {"sample": evaluate(inside, options, f"{SAMPLES}/{name}")}


def with_another_seed(
    start: Path, options: argparse.Namespace, seed: int, theirs_best: dict[str, Any], ours_best: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The chosen settings of both, and ours with theirs' recipe, trained with ``seed``; how they do on the sample."""
    name = theirs_best["trained_on"]
    sample = f"{SAMPLES}/{name}"
    for package in (THEIRS, PLAIN):
        run = trained(start, options, name, theirs_best["weight"], package, seed)
        yield run | {"sample": evaluate(run, options, sample)}
    inside = trained(start, options, name, ours_best["weight"], OURS, seed)
    inside |= {"package": INSIDE, "expansion": ours_best["expansion"]}
    yield inside | {"sample": evaluate(inside, options, sample)}


def trained(
    start: Path, options: argparse.Namespace, name: str, weight: float, package: str, seed: int = SEED
) -> dict[str, Any]:
    """A model, trained now if it is not there yet, and what its training took."""
    folder = options.out / name / (f"{KEYS[package]}-{weight:g}" + (f"-seed{seed}" if seed != SEED else ""))
    told = folder / "training.json"
    if not told.is_file():
        write_json(told, timed(training(start, options, name, weight, package, folder, seed)))
    run = {"package": package, "trained_on": name, "weight": weight, "seed": seed, "folder": str(folder)}
    return run | {"training": json.loads(told.read_text())}


def training(
    start: Path,
    options: argparse.Namespace,
    name: str,
    weight: float,
    package: str,
    folder: Path,
    seed: int = SEED,
) -> list[str]:
    """The command that trains a package's model; the negatives that it needs are there afterwards."""
    if package == THEIRS:
        return [*theirs(start, options, name, weight, folder), "--seed", str(seed)]
    seeded = f"config.seed={seed}"
    if package == PLAIN:
        return [*ours(start, options, name, weight, folder), seeded]
    negatives = bm25_negatives(options.data, name, options.out / "negatives" / f"{name}.trec")
    own = ours(start, options, name, weight, folder, options.batch_size // 2)
    return [*own, seeded, "data.type=hard_negatives", "+data.n_negatives=1", f"+data.TRAIN.DATASET_PATH={negatives}"]


def start_from(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a tied masked-language-model head, as a plain folder that both packages load."""
    if not (folder / "config.json").is_file():
        model = Splade(encoder_folder(), head="tied_identity")
        model.encoders["document"].save(folder)
        model.tokenizer("document").save_pretrained(folder)
    return folder


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; what it took: seconds of the wall and of the processor, most memory resident."""
    print("$ " + " ".join(command), flush=True)
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {
        "wall_s": time.monotonic() - began,
        "processor_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def splade(name: str, *overrides: str) -> list[str]:
    """A command of ours."""
    return [sys.executable, "-m", f"splade.{name}", *overrides]


def ours(
    start: Path, options: argparse.Namespace, name: str, weight: float, folder: Path, batch_size: int | None = None
) -> list[str]:
    """Our training; ``batch_size`` questions a step, by default those of the options."""
    data = options.data / name
    return [
        *splade("train", "--config-dir", str(HERE), "--config-name", "config"),
        f"init_dict.model_type_or_dir={start}",
        "init_dict.pool_special_tokens=true",  # as theirs
        f"config.checkpoint_dir={folder}",
        f"config.nb_iterations={options.steps}",
        f"config.warmup_steps={options.steps // 10}",
        f"config.train_batch_size={batch_size or options.batch_size}",
        f"config.max_length={options.max_length}",
        f"config.max_length_q={options.max_length}",
        f"config.regularizer.FLOPS.lambda_q={weight}",
        f"config.regularizer.FLOPS.lambda_d={weight}",
        f"config.regularizer.FLOPS.T={max(options.steps // 3, 1)}",  # as theirs
        f"data.TRAIN.D_COLLECTION_PATH={data}",
        f"data.TRAIN.Q_COLLECTION_PATH={data}:train",
        f"data.TRAIN.QREL_PATH={data}:train",
    ]


def theirs(start: Path, options: argparse.Namespace, name: str, weight: float, folder: Path) -> list[str]:
    """Training by sentence-transformers."""
    return [
        *(sys.executable, "-m", "benchmarks.head_to_head.theirs", str(start), str(options.data / name), str(folder)),
        *("--weight", str(weight), "--steps", str(options.steps), "--batch-size", str(options.batch_size)),
        *("--max-length", str(options.max_length), "--warmup-steps", str(options.steps // 10)),
    ]


def evaluate(run: dict[str, Any], options: argparse.Namespace, name: str) -> dict[str, float]:
    """`splade.beir_eval` of a trained model on one set: its metrics, non-zeros and FLOPS."""
    folder = with_bm25(run, options, name) if "expansion" in run else Path(run["folder"])
    place = folder / "evaluated" / Path(name).parent
    out = place / "beir" / Path(name).name
    if not (out / "perf.json").is_file():
        subprocess.run(
            splade(
                "beir_eval",
                "config.pretrained_no_yamlconfig=true",
                f"init_dict.model_type_or_dir={folder / 'model'}",
                f"init_dict.bf16={str(options.bf16).lower()}",
                f"config.max_length={options.read_length}",
                f"config.max_length_q={options.read_length}",
                "config.top_k=1000",
                f"config.index_dir={place / 'index'}",
                f"config.out_dir={place}",
                f"+beir.dataset={Path(name).name}",
                f"+beir.dataset_path={_data(options, name) / Path(name).parent}",
                f"+beir.split={SPLITS.get(name, 'train')}",
            ),
            check=True,
        )
    details = json.loads((out / "details.json").read_text())
    found = json.loads((out / "perf.json").read_text())
    return {metric: found[metric] for metric in METRICS} | {
        "L0_d": details["search_stats"]["index"]["L0_d"],
        "L0_q": details["q_stats"]["L0_q"],
        "flops": details["search_stats"]["flops"],
    }


def with_bm25(run: dict[str, Any], options: argparse.Namespace, name: str) -> Path:
    """The folder of a model with the lexical weights of the collection that is searched."""
    folder = Path(run["folder"])
    target = folder / f"bm25-{run['expansion']:g}" / name
    if not (target / "model").is_dir():
        own = [f"init_dict.model_type_or_dir={folder / 'model'}", f"init_dict.idf={target / 'idf.json'}"]
        length, expansion = f"config.max_length={options.read_length}", f"init_dict.expansion={run['expansion']}"
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(splade("idf", *own, length, f"data.COLLECTION_PATH={_data(options, name) / name}"), check=True)
        subprocess.run(splade("add_bm25", *own, expansion, f"config.checkpoint_dir={target}"), check=True)
    return target


def _data(options: argparse.Namespace, name: str) -> Path:
    """Where the set lies: samples are made by this command."""
    where: Path = options.out if name.startswith(f"{SAMPLES}/") else options.data
    return where


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.head_to_head",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the BEIR folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained-on", nargs="+", choices=TRAINED_ON, default=TRAINED_ON)
    parser.add_argument("--weights", type=float, nargs="+", default=[2.5e-4, 1e-3, 4e-3], help="of FLOPS, both sides")
    parser.add_argument("--expansions", type=float, nargs="+", default=[0.2, 0.6], help="of ours beside BM25's 1")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text in training")
    parser.add_argument("--read-length", type=int, default=256, help="tokens of a text in the evaluation")
    parser.add_argument("--ablation", action="store_true", help="try ours with their recipe, too")
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="further ones, for the sample")
    parser.add_argument("--bf16", action="store_true", help="evaluate in bfloat16, both packages")
    return parser.parse_args()


if __name__ == "__main__":
    main()
