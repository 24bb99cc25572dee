"""Run the rows that can run here, once for equal commands, and compare what they give with what is expected."""

import logging
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from splade.expectations.planning import Places, Run, plan
from splade.expectations.rows import PRINTED, Row
from splade.files import InputError, naming, read_json, write_json

logger = logging.getLogger(__name__)

Verdict = Literal["matches", "differs", "failed", "not run"]
DONE, LOG, STDOUT = "done.json", "log.txt", "printed.txt"
Runner = Callable[[Sequence[str], Path], int]
"""Runs one command (its words) and writes ``printed.txt`` and ``log.txt`` into a folder; returns the exit status."""


class Outcome(NamedTuple):
    """A row, the runs that it rests on, and the comparison."""

    row: Row
    runs: tuple[Run, ...]
    verdict: Verdict
    found: float | None = None
    why: str = ""  # where nothing was found, in words

    @property
    def difference(self) -> float | None:
        """The value that was found less the expected one."""
        return None if self.found is None else self.found - self.row.value


def reproduce_rows(rows: Sequence[Row], places: Places, runner: Runner | None = None) -> list[Outcome]:
    """The outcome of each row.

    Runs that ended well are marked by ``done.json`` and not repeated while commands, data, models and version are the
    same. An interrupted one is repeated in its folder, where the commands go on as they always do.
    """
    ended: dict[Path, str] = {}
    return [_outcome(row, plan(row, places), runner or run_here, ended) for row in rows]


def _outcome(row: Row, runs: list[Run], runner: Runner, ended: dict[Path, str]) -> Outcome:
    missing = list(dict.fromkeys(reason for run in runs for reason in run.missing))
    if missing:
        return Outcome(row, tuple(runs), "not run", why="; ".join(missing))
    values = []
    for run in runs:
        if run.folder not in ended:
            ended[run.folder] = _completed(row, run, runner)
        if ended[run.folder]:
            return Outcome(row, tuple(runs), "failed", why=ended[run.folder])
        try:
            values.append(value_of(run, row.metric))
        except InputError as error:
            return Outcome(row, tuple(runs), "failed", why=str(error))
    found = math.fsum(values) / len(values)
    verdict: Verdict = "matches" if row.matches(found) else "differs"
    logger.info("%s: %s %.4f, expected %.4f ± %g: %s", row.name, row.metric, found, row.value, row.tolerance, verdict)
    return Outcome(row, tuple(runs), verdict, found)


def _completed(row: Row, run: Run, runner: Runner) -> str:
    """Complete ``run`` unless it is done; "" where it is, or the reason why it failed."""
    if (run.folder / DONE).is_file():
        logger.info("%s: done before, in %s", row.name, run.folder)
        return ""
    run.folder.mkdir(parents=True, exist_ok=True)
    for file in (LOG, STDOUT):
        (run.folder / file).unlink(missing_ok=True)
    for command in run.commands:
        logger.info("%s: %s (log: %s)", row.name, line_of(command), run.folder / LOG)
        status = runner(command, run.folder)
        if status:
            return f"splade.{command[0]} ended with status {status}: {_last_words(run.folder / LOG)}"
    write_json(run.folder / DONE, {"commands": [line_of(command) for command in run.commands]})
    return ""


def line_of(command: Sequence[str]) -> str:
    """The command as a line to copy."""
    return f"python -m splade.{command[0]} {shlex.join(command[1:])}".rstrip()


def run_here(command: Sequence[str], folder: Path) -> int:
    """Run ``command`` in a process of its own, in the folder of launch; what it prints goes to files in ``folder``."""
    words = [sys.executable, "-m", f"splade.{command[0]}", *command[1:]]
    with naming(folder), (folder / STDOUT).open("ab") as out, (folder / LOG).open("ab") as log:
        return subprocess.run(words, stdout=out, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode


def value_of(run: Run, metric: str) -> float:
    """The value of ``metric`` that ``run`` gave, from its perf.json or what it printed; InputError without it."""
    if run.result == PRINTED:
        path = run.folder / STDOUT
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        values = {name: float(value) for name, value in re.findall(r"^(\S+) (-?[\d.]+)$", text, re.M)}
    else:
        path = run.folder / run.result / "perf.json"
        values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict) or metric not in values:
        raise InputError(f"{path} has no {metric}" + (f", only {', '.join(values)}" if values else ""))
    return float(values[metric])


def _last_words(log: Path) -> str:
    """The end of what a command said, in one line."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{said[-1][:300]} (log: {log})" if said else f"it said nothing (log: {log})"
