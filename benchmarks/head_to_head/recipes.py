"""Trainings that are compared: two packages, each on pairs and on pairs with BM25's negatives."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.head_to_head.sample import bm25_negatives
from benchmarks.real_data.run import encoder_folder
from splade.files import write_json
from splade.models import Splade

HERE = Path(__file__).resolve().parent


class Recipe(NamedTuple):
    """A package and the data that it trains on."""

    package: str  # "ours" or "theirs"
    negatives: bool

    @property
    def name(self) -> str:
        return f"{self.package}, negatives" if self.negatives else self.package

    @property
    def folder(self) -> str:
        return self.name.replace(", ", "-")


RECIPES = tuple(Recipe(package, negatives) for package in ("theirs", "ours") for negatives in (False, True))


class Budget(NamedTuple):
    """What every training may take."""

    steps: int
    batch_size: int  # passages a step
    max_length: int  # tokens of a text


def start_from(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a tied masked-language-model head, as a plain folder that both packages load."""
    if not (folder / "config.json").is_file():
        model = Splade(encoder_folder(), head="tied_identity")
        model.encoders["document"].save(folder)
        model.tokenizer("document").save_pretrained(folder)
    return folder


def trained(out: Path, data: Path, name: str, recipe: Recipe, weight: float, seed: int, budget: Budget) -> Path:
    """The folder of a model, trained now if it is not there yet; ``training.json`` in it tells the cost."""
    folder = out / "trained" / name / f"{recipe.folder}-{weight:g}-seed{seed}"
    told = folder / "training.json"
    if not told.is_file():
        write_json(told, timed(training(out, data, name, recipe, weight, seed, budget, folder)))
    return folder


def cost_of(folder: Path) -> dict[str, float]:
    """Seconds and memory that a training took."""
    told: dict[str, float] = json.loads((folder / "training.json").read_text())
    return told


def training(
    out: Path, data: Path, name: str, recipe: Recipe, weight: float, seed: int, budget: Budget, folder: Path
) -> list[str]:
    """The command that trains a model; the negatives that it needs are there afterwards."""
    start, source = start_from(out / "start"), data / name
    negatives = bm25_negatives(data, name, out / "negatives" / f"{name}.trec") if recipe.negatives else None
    of = _ours if recipe.package == "ours" else _theirs
    return of(start, source, negatives, weight, seed, budget, folder)


def _ours(
    start: Path, source: Path, negatives: Path | None, weight: float, seed: int, budget: Budget, folder: Path
) -> list[str]:
    questions = budget.batch_size // 2 if negatives else budget.batch_size
    command = splade(
        "train",
        *("--config-dir", str(HERE), "--config-name", "config"),
        f"init_dict.model_type_or_dir={start}",
        "init_dict.pool_special_tokens=true",  # as theirs
        f"config.checkpoint_dir={folder}",
        f"config.nb_iterations={budget.steps}",
        f"config.warmup_steps={budget.steps // 10}",
        f"config.train_batch_size={questions}",
        f"config.max_length={budget.max_length}",
        f"config.max_length_q={budget.max_length}",
        f"config.regularizer.FLOPS.lambda_q={weight}",
        f"config.regularizer.FLOPS.lambda_d={weight}",
        f"config.regularizer.FLOPS.T={max(budget.steps // 3, 1)}",  # as theirs
        f"config.seed={seed}",
        f"data.TRAIN.D_COLLECTION_PATH={source}",
        f"data.TRAIN.Q_COLLECTION_PATH={source}:train",
        f"data.TRAIN.QREL_PATH={source}:train",
    )
    if negatives:
        command += ["data.type=hard_negatives", "+data.n_negatives=1", f"+data.TRAIN.DATASET_PATH={negatives}"]
    return command


def _theirs(
    start: Path, source: Path, negatives: Path | None, weight: float, seed: int, budget: Budget, folder: Path
) -> list[str]:
    questions = budget.batch_size // 2 if negatives else budget.batch_size
    return [
        *(sys.executable, "-m", "benchmarks.head_to_head.theirs", str(start), str(source), str(folder)),
        *("--weight", str(weight), "--steps", str(budget.steps), "--batch-size", str(questions)),
        *("--max-length", str(budget.max_length), "--warmup-steps", str(budget.steps // 10), "--seed", str(seed)),
        *(("--negatives", str(negatives)) if negatives else ()),
    ]


def splade(name: str, *overrides: str) -> list[str]:
    """A command of ours."""
    return [sys.executable, "-m", f"splade.{name}", *overrides]


def timed(command: list[str]) -> dict[str, Any]:
    """Run a command; its seconds of the wall and of the processor, and its most resident memory."""
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
