"""Ours and sentence-transformers' sparse training from the same start, data and budget, and BM25 beside them.

    pip install -c constraints.txt -e '.[benchmarks]' sentence-transformers datasets accelerate
    OMP_NUM_THREADS=2 python -m benchmarks.head_to_head --data ../shared/data --out experiments/head_to_head

Every stage is skipped where its result is there already, so an interrupted run continues. Writes OUT/results.json and
prints the tables of README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.head_to_head.tables import tables
from benchmarks.real_data.run import bm25, encoder_folder
from splade.files import write_json
from splade.models import Splade

HERE = Path(__file__).resolve().parent
SPLITS = {"squad": "dev", "medquad": "dev", "scifact": "test", "cranfield": "test", "vaswani": "test"}
TRAINED_ON = ("squad", "medquad")
ZERO_SHOT = ("scifact", "cranfield", "vaswani")
METRICS = ("ndcg_cut_10", "mrr_10", "recall_100")


def main() -> None:
    """The command."""
    options = _options()
    start = start_from(options.out / "start")
    results: dict[str, Any] = {"setting": {name: str(value) for name, value in vars(options).items()}, "runs": []}
    results["bm25"] = {name: bm25(options.data, name, SPLITS[name]) for name in SPLITS}
    for trained_on in TRAINED_ON:
        for weight in options.weights:
            for package in ("ours", "theirs"):
                folder = options.out / trained_on / f"{package}-{weight:g}"
                run = {"package": package, "trained_on": trained_on, "weight": weight}
                run |= train(package, start, options, trained_on, weight, folder)
                own = evaluate(folder, options, trained_on)
                results["runs"].append(run | {"sets": {trained_on: own}})
    for run in results["runs"]:
        folder = options.out / run["trained_on"] / f"{run['package']}-{run['weight']:g}"
        if run["weight"] in options.zero_shot:
            run["sets"] |= {name: evaluate(folder, options, name) for name in ZERO_SHOT}
    write_json(options.out / "results.json", results)
    print(tables(results))


def start_from(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a tied masked-language-model head, as a plain folder that both packages load."""
    if not (folder / "config.json").is_file():
        model = Splade(encoder_folder(), head="tied_identity")
        model.encoders["document"].save(folder)
        model.tokenizer("document").save_pretrained(folder)
    return folder


def train(
    package: str, start: Path, options: argparse.Namespace, name: str, weight: float, folder: Path
) -> dict[str, float]:
    """Train, or read what training took: seconds of the wall and of the processor, most memory resident."""
    told = folder / "training.json"
    if not told.is_file():
        data = options.data / name
        command = (_ours if package == "ours" else _theirs)(start, options, data, weight, folder)
        write_json(told, timed(command))
    read: dict[str, float] = json.loads(told.read_text())
    return read


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; what it took."""
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


def _ours(start: Path, options: argparse.Namespace, data: Path, weight: float, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "splade.train", "--config-dir", str(HERE), "--config-name", "config"),
        f"init_dict.model_type_or_dir={start}",
        "init_dict.pool_special_tokens=false",
        f"config.checkpoint_dir={folder}",
        f"config.nb_iterations={options.steps}",
        f"config.warmup_steps={options.steps // 10}",
        f"config.train_batch_size={options.batch_size}",
        f"config.max_length={options.max_length}",
        f"config.max_length_q={options.max_length}",
        f"config.regularizer.FLOPS.lambda_q={weight}",
        f"config.regularizer.FLOPS.lambda_d={weight}",
        f"config.regularizer.FLOPS.T={max(options.steps // 3, 1)}",  # as theirs
        f"data.TRAIN.D_COLLECTION_PATH={data}",
        f"data.TRAIN.Q_COLLECTION_PATH={data}:train",
        f"data.TRAIN.QREL_PATH={data}:train",
    ]


def _theirs(start: Path, options: argparse.Namespace, data: Path, weight: float, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "benchmarks.head_to_head.theirs", str(start), str(data), str(folder)),
        *("--weight", str(weight), "--steps", str(options.steps), "--batch-size", str(options.batch_size)),
        *("--max-length", str(options.max_length), "--warmup-steps", str(options.steps // 10)),
    ]


def evaluate(folder: Path, options: argparse.Namespace, name: str) -> dict[str, float]:
    """`splade.beir_eval` of a trained model on one set: its metrics, non-zeros and FLOPS."""
    out = folder / "out" / "beir" / name
    if not (out / "perf.json").is_file():
        command = [
            *(sys.executable, "-m", "splade.beir_eval", "config.pretrained_no_yamlconfig=true"),
            f"init_dict.model_type_or_dir={folder / 'model'}",
            f"init_dict.bf16={str(options.bf16).lower()}",
            f"config.max_length={options.max_length}",
            f"config.max_length_q={options.max_length}",
            "config.top_k=1000",
            f"config.index_dir={folder / 'index'}",
            f"config.out_dir={folder / 'out'}",
            f"+beir.dataset={name}",
            f"+beir.dataset_path={options.data}",
            f"+beir.split={SPLITS[name]}",
        ]
        timed(command)
    details = json.loads((out / "details.json").read_text())
    found = json.loads((out / "perf.json").read_text())
    return {metric: found[metric] for metric in METRICS} | {
        "L0_d": details["search_stats"]["index"]["L0_d"],
        "L0_q": details["q_stats"]["L0_q"],
        "flops": details["search_stats"]["flops"],
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.head_to_head",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the BEIR folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=float, nargs="+", default=[1e-3, 4e-3, 1.6e-2], help="of FLOPS, both sides")
    parser.add_argument("--zero-shot", type=float, nargs="*", default=[4e-3], help="weights tried on other sets too")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--bf16", action="store_true", help="evaluate in bfloat16, both packages")
    return parser.parse_args()


if __name__ == "__main__":
    main()
