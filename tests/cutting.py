"""Work cut off in its middle, by what it does and never by the clock.

`outcomes` runs commands as the console script would, each in a child of its own, and returns their outcomes. A child
whose run has a `Cut` sends itself the signal at that moment, so that the moment comes on any machine, however slow or
busy.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import PATIENCE, ROOT


class Cut(NamedTuple):
    """A signal and its moment: the ``nth`` file or folder whose path matches ``place`` gets its name.

    The signal comes just before that, or just after. Where ``place`` is a number, the moment is that at which the
    text with this number (from 0) of a collection is wanted.
    """

    number: int
    place: str
    nth: int = 1
    when: str = "after"


class Outcome(NamedTuple):
    """How a child ended: its exit status (negative: the signal that killed it), and all that it printed."""

    status: int
    told: str


Run = tuple[Sequence[str], Cut | None]


def outcomes(folder: Path, modules: Sequence[str], runs: Sequence[Run], *, model: str = "") -> list[Outcome]:
    """The outcome of each run ``(arguments, cut)`` in ``folder``, one after the other.

    ``modules``, and the folder of a ``model``, are loaded once for all of them.
    """
    given = json.dumps([str(folder), list(modules), model, runs])
    alone = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # threads do not survive a fork
    command = [sys.executable, "-W", "ignore", "-m", "tests.cutting", given]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return [Outcome(*outcome) for outcome in json.loads(done.stdout.splitlines()[-1])]


def arm(cut: Cut) -> None:
    """Have this process, which must be one that may end, send itself the signal of ``cut`` at its moment."""
    if cut.number == signal.SIGINT:  # tests that were launched in the background inherit that it is ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if cut.place.isdigit():
        _arm_texts(cut)
    else:
        _arm_names(cut)


def _arm_names(cut: Cut) -> None:
    replace, left = Path.replace, cut.nth

    def replaced(path: Path, target: Any) -> Path:
        nonlocal left
        left -= fnmatch(str(target), cut.place)
        now = left == 0 and fnmatch(str(target), cut.place)
        if now and cut.when == "before":
            os.kill(os.getpid(), cut.number)
        new = replace(path, target)
        if now and cut.when == "after":
            os.kill(os.getpid(), cut.number)
        return new

    Path.replace = replaced  # type: ignore[method-assign]


def _arm_texts(cut: Cut) -> None:
    from splade.data.collections import FileCollection

    iterate = FileCollection.iterate

    def iterated(collection: Any, start: int = 0) -> Iterator[Any]:
        for number, text in enumerate(iterate(collection, start), start):
            if number == int(cut.place):
                os.kill(os.getpid(), cut.number)
                if threading.current_thread() is not threading.main_thread():
                    threading.Event().wait()  # the text never comes: the main thread cannot get to the end
            yield text

    FileCollection.iterate = iterated  # type: ignore[method-assign]


def in_child(work: Callable[[], Any], cut: Cut | None = None, output: int | None = None) -> int:
    """The exit status of a forked child that does ``work`` with ``cut`` armed, its output going to ``output``."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        if output is not None:
            os.dup2(output, 1), os.dup2(output, 2)
        if cut is not None:
            arm(cut)
        work()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        os._exit(status)


def killed_everywhere(work: Callable[[], Any]) -> int:
    """Kill ``work`` before and after a file or folder gets its name, a later one each time, until it gets to the end.

    Each time it is continued where it was killed. Returns how often that was.
    """
    killed = 0
    while True:
        status = in_child(work, Cut(signal.SIGKILL, "*", 1 + killed // 2, ("before", "after")[killed % 2]))
        if status == 0:
            return killed
        assert status == -signal.SIGKILL, status
        killed += 1


def _main(folder: str, modules: Sequence[str], model: str, runs: Sequence[Any]) -> None:
    os.chdir(folder)
    from splade.cli import main

    for module in modules:
        importlib.import_module(module)
    if model:
        from splade.models import Splade

        Splade(model)
    sys.argv = ["splade"]
    found = []
    for arguments, cut in runs:
        told = os.memfd_create("told")
        status = in_child(lambda given=arguments: main(given), cut and Cut(*cut), told)
        found.append(Outcome(status, os.pread(told, 1 << 20, 0).decode()))
        os.close(told)
    print(json.dumps(found))


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
