"""The threads of a command, and how they wait for each other: chosen in the environment before torch is loaded.

An OpenMP thread that has done its part of a loop spins until the others have done theirs. Where another program has a
core, each of the many short loops of a small model then waits for that program's time slice, and a training step takes
a hundred times as long. Threads that spin for some ten microseconds and then sleep cure it. Where it is quiet they cost
a quarter of the time and more (``benchmarks/threads``), since each sleeping thread must be woken. So a command looks
whether other programs use the processors. OpenMP reads its environment once, when its library is loaded with torch.
"""

import functools
import math
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Container, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import NamedTuple

SPINS = "1000"
BUSY = 0.25  # processors that other programs use, from which on waiting threads sleep early
LOOK = 0.1  # seconds to look at the processors for
WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY")
THREADS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS")
GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
TICKS = Path("/proc/stat")


class Processors(NamedTuple):
    """Processors for this process: those the scheduler gives it, and how many at a time its control group may use."""

    listed: int
    quota: float | None = None  # None: no limit


def policy(environment: Mapping[str, str], processors: Processors, taken: Callable[[], float]) -> dict[str, str]:
    """The variables to set for OpenMP, by name; none that the user has chosen already.

    How threads wait is left alone where any of ``WAITING`` is set, and where other programs use less than ``BUSY``
    processors (``taken()``, which is asked only if it matters). The number of threads is left alone where any of
    ``THREADS`` is set. OpenMP itself counts the listed processors; it does not know the quota of a container, and is
    told where that is less.
    """
    chosen = {}
    if not any(name in environment for name in WAITING) and taken() >= BUSY:
        chosen["GOMP_SPINCOUNT"] = SPINS
    usable = math.ceil(processors.quota) if processors.quota is not None else processors.listed
    if usable < processors.listed and not any(name in environment for name in THREADS):
        chosen["OMP_NUM_THREADS"] = str(max(usable, 1))
    return chosen


def settle(environment: MutableMapping[str, str], loaded: Container[str] = sys.modules) -> dict[str, str]:
    """Set in ``environment`` what `policy` chooses, and return it; nothing where torch is loaded, which is too late."""
    if "torch" in loaded:
        return {}
    chosen = policy(environment, processors(), taken)
    environment.update(chosen)
    return chosen


def starts_command(arguments: Sequence[str], original: Sequence[str]) -> bool:
    """True where Python is about to run a module of this package, as in ``python -m splade.train``.

    ``arguments`` are ``sys.argv``, whose first is ``-m`` until the module is found; ``original`` is ``sys.orig_argv``.
    """
    if arguments[:1] != ["-m"] or len(original) <= len(arguments):
        return False
    module = original[-len(arguments)]  # of torchrun's processes too; the options of Python come before it
    return re.fullmatch(r"(-\w*m)?splade(\..*)?", module) is not None


def processors(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> Processors:
    """The processors of this process, and the quota of its control group; no quota where there are no such groups."""
    listed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        return Processors(listed, min(_quotas(groups, membership), default=None))
    except OSError:  # another system, or groups that may not be read
        return Processors(listed)


@functools.cache
def taken() -> float:
    """The number of this process's processors that are in use while it sleeps for a moment; 0 where nothing tells.

    Processors of one machine that another one has taken (*steal*) are in use. A process looks once.
    """
    try:
        listed = os.sched_getaffinity(0)
        before, start = busy_ticks(TICKS.read_text(), listed), time.monotonic()
        time.sleep(LOOK)
        ticks = busy_ticks(TICKS.read_text(), listed) - before
        return ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start)
    except (OSError, AttributeError, ValueError):  # another system than Linux, or files that may not be read
        return 0.0


def busy_ticks(table: str, listed: Collection[int]) -> int:
    """Clock ticks since the start of the machine that ``listed`` processors were not idle, from ``/proc/stat``."""
    ticks = 0
    for line in table.splitlines():
        name, *columns = line.split()
        if name.removeprefix("cpu").isdigit() and int(name.removeprefix("cpu")) in listed:
            user, nice, system, _idle, _waiting, *interrupts = map(int, columns[:8])
            ticks += user + nice + system + sum(interrupts)
    return ticks


def _quotas(groups: Path, membership: Path) -> Iterator[float]:
    """Processors at a time, by each limit on this process's control group and on those above it (versions 1 and 2)."""
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        place = root / path.lstrip("/")
        for folder in (place, *(parent for parent in place.parents if parent.is_relative_to(root))):
            yield from _quota(folder)


def _quota(folder: Path) -> Iterator[float]:
    if (folder / "cpu.max").is_file():
        allowed, period = (folder / "cpu.max").read_text().split()
    elif (folder / "cpu.cfs_quota_us").is_file():
        allowed, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    else:
        return
    if allowed not in ("max", "-1"):
        yield int(allowed) / int(period)
