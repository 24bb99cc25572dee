"""Time, memory and energy of a piece of work."""

import contextlib
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from splade.results import energy

PROCESS = Path("/proc/self")


class Meter:
    """Measures what happens between ``with Meter() as meter:`` and the end of the block; `told` says it.

    Memory is this process's high-water mark within the block (Linux; elsewhere of the whole process). Energy is the
    machine's, with whatever else ran on it.
    """

    def __init__(self) -> None:
        self._counters = energy.counters()
        self._began, self._seconds = 0.0, 0.0
        self._before: list[float] = []
        self._told: dict[str, Any] = {}

    def __enter__(self) -> "Meter":
        _forget_peak()
        self._before = [counter.joules() for counter in self._counters]
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told = {"seconds": time.perf_counter() - self._began, "peak_memory_mb": peak_memory_mb()}
        gpu = _gpu_memory_mb()
        if gpu is not None:
            self._told["peak_gpu_memory_mb"] = gpu
        if self._counters:
            self._told["energy_joules"] = {
                counter.name: energy.used(counter, before, counter.joules())
                for counter, before in zip(self._counters, self._before, strict=True)
            }

    def told(self) -> dict[str, Any]:
        """``seconds``, ``peak_memory_mb`` (MiB) and, where there is any, GPU memory and ``energy_joules``."""
        return dict(self._told)


def peak_memory_mb() -> float:
    """The most memory (MiB) that this process held, since a `Meter` began where that can be told."""
    try:
        status = (PROCESS / "status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def _forget_peak() -> None:
    """Let the high-water marks begin anew."""
    with contextlib.suppress(OSError):  # the mark stays that of the whole process, as `Meter` says
        (PROCESS / "clear_refs").write_text("5")
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _gpu_memory_mb() -> float | None:
    """The most memory (MiB) that torch held on the current GPU; None without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_allocated()) / (1 << 20)


def sum_of(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The costs of two pieces of work, one after the other: times and energy are added, of memory the higher counts."""
    both: dict[str, Any] = {}
    for name in {**one, **other}:
        first, second = one.get(name), other.get(name)
        if first is None or second is None:
            both[name] = second if first is None else first
        elif isinstance(first, dict):
            both[name] = sum_of(first, second)
        else:
            both[name] = max(first, second) if name.startswith("peak_") else first + second
    return both
