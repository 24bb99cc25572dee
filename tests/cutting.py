"""Work cut off in its middle, by what it does and never by the clock.

`outcomes` runs commands as the console script would, each in a child of its own, and returns their outcomes. A child
whose run has a `Cut` sends itself the signal at that moment, so that the moment comes on any machine, however slow or
busy.
"""

import json
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from tests.forked import run


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


def outcomes(folder: Path, runs: Sequence[Run]) -> list[Outcome]:
    """The outcome of each run ``(arguments, cut)`` in ``folder``, one after the other."""
    return [_outcome(folder, *each) for each in runs]


def _outcome(folder: Path, arguments: Sequence[str], cut: Cut | None) -> Outcome:
    (ended,) = run("-c", COMMAND, json.dumps([arguments, cut]), cwd=folder)
    return Outcome(ended.status, ended.out + ended.err)


COMMAND = """
import json, sys
from splade.cli import main
from tests.cutting import Cut, arm

arguments, cut = json.loads(sys.argv[1])
sys.argv = ["splade"]
if cut:
    arm(Cut(*cut))
main(arguments)
"""


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
    from splade.data.collections.file_collection import FileCollection

    iterate = FileCollection.iterate

    def iterated(collection: Any, start: int = 0) -> Iterator[Any]:
        for number, text in enumerate(iterate(collection, start), start):
            if number == int(cut.place):
                os.kill(os.getpid(), cut.number)
                if threading.current_thread() is not threading.main_thread():
                    threading.Event().wait()  # the text never comes: the main thread cannot get to the end
            yield text

    FileCollection.iterate = iterated  # type: ignore[method-assign]


def in_child(work: Callable[[], Any], cut: Cut | None = None) -> int:
    """The exit status of a forked child that does ``work`` with ``cut`` armed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        if cut is not None:
            arm(cut)
        work()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:  # the test tells what it found by its exit status alone
        traceback.print_exc()
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
