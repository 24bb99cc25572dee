"""Records of a training: CSV, JSONL, TensorBoard, and warnings when vectors go wrong."""

import csv
import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from splade.files import naming, whole_file
from splade.training.step.window import Window

logger = logging.getLogger(__name__)

DEAD_RATE = 0.05  # share of vectors without any term above which the encoder is called collapsing
DENSE_SHARE, DENSE_TERMS = 0.05, 256  # of the vocabulary, and at least this many terms: still dense


class TrainingLog:
    """``training_log.csv``, ``training_log.jsonl`` and ``tensorboard/`` in ``folder``, one row per event.

    Opening it keeps the rows up to ``step`` and drops later ones: a resumed run writes those again. Columns
    a row has no value for stay empty in the CSV and absent in the JSONL.
    """

    def __init__(self, folder: str | Path, columns: Sequence[str], *, step: int = 0, tensorboard: bool = True) -> None:
        self.folder, self.columns = Path(folder), ["step", *columns]
        self.csv_path, self.jsonl_path = self.folder / "training_log.csv", self.folder / "training_log.jsonl"
        self._keep(step)
        if not step:
            shutil.rmtree(self.folder / "tensorboard", ignore_errors=True)
        self._board = self._open_board(step) if tensorboard else None

    def write(self, step: int, row: Mapping[str, float]) -> None:
        """Append the values of ``step``."""
        with naming(self.folder):
            self._append(step, {"step": step, **row})

    def _append(self, step: int, row: Mapping[str, float]) -> None:
        with self.jsonl_path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        with self.csv_path.open("a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, self.columns, lineterminator="\n").writerow(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self._board is not None:
            with naming(self.folder):
                self._board.close()

    def _keep(self, step: int) -> None:
        rows = []
        if self.jsonl_path.exists():
            for line in self.jsonl_path.read_text(encoding="utf-8").splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:  # a line that a kill cut short
                    continue
                if row["step"] <= step:
                    rows.append(row)
        with whole_file(self.jsonl_path) as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        with whole_file(self.csv_path) as stream:
            writer = csv.DictWriter(stream, self.columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def _open_board(self, step: int) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter  # slow to load, and optional
        except ImportError:
            logger.warning("tensorboard is not installed: no tensorboard/ is written (pip install tensorboard)")
            return None
        with naming(self.folder):
            return SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1 if step else None)


class Health:
    """Says loudly, once until it is over, that vectors collapse or stay dense.

    Dense counts only from ``ramped`` on, the step by which the penalties should have done their work.
    """

    def __init__(self, vocab_size: int, ramped: int) -> None:
        self.dense_limit, self.ramped = max(DENSE_SHARE * vocab_size, DENSE_TERMS), ramped
        self._warned: set[str] = set()

    def check(self, step: int, means: Mapping[str, float]) -> None:
        """Look at the means of a window that ends at ``step``."""
        for side, name in (("q", "query"), ("d", "document")):
            dead, terms = means.get(f"dead_{side}", 0.0), means.get(f"L0_{side}", 0.0)
            self._warn(
                f"dead_{side}",
                dead > DEAD_RATE,
                f"step {step}: VECTORS COLLAPSE: {dead:.1%} of the {name} vectors have no term left. Lower "
                f"config.regularizer.*.lambda_{side} or config.lr, or lengthen T",
            )
            self._warn(
                f"dense_{side}",
                step >= self.ramped and terms > self.dense_limit,
                f"step {step}: VECTORS STAY DENSE: {terms:.0f} terms per {name}, more than {self.dense_limit:.0f}. "
                f"Raise config.regularizer.*.lambda_{side} or shorten T",
            )

    def _warn(self, what: str, wrong: bool, words: str) -> None:
        if wrong and what not in self._warned:
            logger.warning(words)
        (self._warned.add if wrong else self._warned.discard)(what)


class StepRows:
    """Rows of the log, each with the means of the steps since the one before; every ``every`` steps, and the ``last``.

    ``done`` steps were done before. A step has ``per_step`` of the ``n_examples`` examples, of ``n_documents`` each.
    Without a ``log``, as in all processes but the first, nothing is written.
    """

    def __init__(
        self,
        window: Window,
        log: TrainingLog | None,
        health: Health,
        *,
        every: int,
        last: int,
        done: int,
        per_step: int,
        n_examples: int,
        n_documents: int,
    ) -> None:
        self.window, self.log, self.health = window, log, health
        self.every, self.last = every, last
        self.per_step, self.n_examples, self.n_documents = per_step, n_examples, n_documents
        self._clock, self._clock_step = time.perf_counter(), done

    def add(self, step: int, logged: Mapping[str, float]) -> None:
        """Take in what step ``step``, counted from 1, logged; write a row where one is due."""
        self.window.add(logged)
        if step % self.every and step < self.last:
            return
        means, now = self.window.means(), time.perf_counter()
        documents = (step - self._clock_step) * self.per_step * self.n_documents
        means["documents_per_second"] = documents / max(now - self._clock, 1e-9)
        means["epoch"] = step * self.per_step / self.n_examples
        self._clock, self._clock_step = now, step
        self.window.clear()
        if self.log is not None:
            self.log.write(step, means)
            self.health.check(step, means)
