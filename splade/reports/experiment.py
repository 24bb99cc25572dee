"""The contents of an experiment's folders for its report, and words for what they do not hold."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from splade.files import InputError, read_json, text_lines
from splade.results import Result, is_result, read_result

LOGS = ("training_log.jsonl", "training_log.csv")
Rows = list[dict[str, float]]


class Postings(NamedTuple):
    """Lengths of the posting lists of an index."""

    source: Path
    lengths: dict[str, int]  # {term, or its number: documents}, longest first, without empty lists
    n_docs: int | None
    vocab_size: int | None


class Experiment(NamedTuple):
    """One experiment, read. What is not at hand is None or empty, and ``missing`` says why, by part of the report."""

    out_dir: Path
    results: list[Result]
    training: Rows  # rows of the training log: {"step": …, "loss": …}
    postings: list[Postings]  # one for each index
    index_stats: dict[str, Any]
    config: str  # the text of config.yaml
    missing: dict[str, str]

    @property
    def name(self) -> str:
        """The name of the folder that the experiment is known by."""
        folder = self.out_dir.resolve()
        return folder.parent.name if folder.name in ("out", "output", "results") else folder.name


def read_experiment(
    out_dir: str | Path,
    checkpoint_dir: str | Path | None,
    index_dir: str | Path | None,
    config: Path | None = None,
    untrained: str = "The folder of the training is not known.",
) -> Experiment:
    """Read what the three folders hold; ``config`` is the saved config of the experiment.

    ``untrained`` says why there is no ``checkpoint_dir``, where there is none.

    InputError where ``out_dir`` is no folder, or a file is damaged. An experiment may have results, a training log or
    both; InputError where it has neither.
    """
    out_dir, missing = Path(out_dir), dict[str, str]()
    if not out_dir.is_dir():
        raise InputError(f"{out_dir}: there is no such folder. Run splade.retrieve or splade.all first")
    results = [read_result(folder) for folder in result_folders(out_dir)]
    if not results:
        missing["metrics"] = f"There are no results below {out_dir}: no folder has a perf.json."
    training = [] if checkpoint_dir is None else _training(Path(checkpoint_dir), missing)
    if checkpoint_dir is None:
        missing["training"] = untrained
    if not results and not training:
        raise InputError(
            f"{out_dir}: there is nothing to report: no result (perf.json) below it, and no training log. "
            "Run splade.retrieve or splade.all first, or name the training with config.checkpoint_dir"
        )
    stats = _index_stats(index_dir)
    text = config.read_text(encoding="utf-8", errors="replace") if config is not None else ""
    if not text:
        missing["config"] = "No config.yaml was found in the folders of this experiment."
    return Experiment(out_dir, results, training, [], stats, text, missing)


def result_folders(out_dir: Path) -> Iterator[Path]:
    """``out_dir`` and the folders below it that are results, by name; none below a result."""
    if is_result(out_dir):
        yield out_dir
        return
    if not out_dir.is_dir():
        return
    for folder in sorted(path for path in out_dir.iterdir() if path.is_dir() and not path.name.startswith(".")):
        yield from result_folders(folder)


def _training(checkpoint_dir: Path, missing: dict[str, str]) -> Rows:
    for name in LOGS:
        path = checkpoint_dir / name
        if path.is_file():
            rows = list(_rows(path))
            if not rows:
                missing["training"] = f"{path} has no rows."
            return rows
    missing["training"] = f"{checkpoint_dir} has no {' and no '.join(LOGS)}: the model was not trained there."
    return []


def _rows(path: Path) -> Iterator[dict[str, float]]:
    """The rows of a log, with their finite numbers only; a last line that was cut short is left out."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as stream:
            yield from (_numbers(row) for row in csv.DictReader(stream) if row.get("step"))
        return
    for number, line in text_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict) or "step" not in row:
            raise InputError.at(path, number, "expected a row of a training log, {step: …, loss: …}")
        yield _numbers(row)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in row.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            found[name] = number
    return found


def _index_stats(index_dir: str | Path | None) -> dict[str, Any]:
    path = None if index_dir is None else Path(index_dir) / "index_stats.json"
    if path is not None and path.is_file():
        stats = read_json(path)
        return stats if isinstance(stats, dict) else {}
    return {}
