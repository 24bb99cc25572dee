"""Energy that the machine tells of itself: processors by RAPL (Linux), NVIDIA GPUs by NVML."""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")


class Counter(NamedTuple):
    """One source of energy: its name, its count so far in joules, and the count at which it begins again, if any."""

    name: str
    joules: Callable[[], float]
    wraps_at: float | None = None


def counters(powercap: Path = POWERCAP) -> list[Counter]:
    """The counters that can be read here; none on machines that tell nothing, or only to the administrator."""
    return [*_processors(powercap), *_gpus()]


def used(counter: Counter, before: float, after: float) -> float:
    """Joules between two counts, of which the second may have begun again at 0, once."""
    return after - before if after >= before else after - before + (counter.wraps_at or 0.0)


def _processors(powercap: Path) -> list[Counter]:
    """One counter for each processor package: memory and cores, its parts, are in it."""
    found = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            highest = float((zone / "max_energy_range_uj").read_text()) / 1e6
            counter = Counter(f"processor {name}", partial(_counted, zone), highest)
            counter.joules()
        except (OSError, ValueError):  # since 2020 the count is the administrator's alone to read
            continue
        if name.startswith("package"):
            found.append(counter)
    return found


def _counted(zone: Path) -> float:
    return float((zone / "energy_uj").read_text()) / 1e6


def _gpus() -> list[Counter]:
    if importlib.util.find_spec("pynvml") is None:
        return []
    nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        for handle in handles:
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # from Volta on
    except nvml.NVMLError:
        return []
    return [Counter(f"gpu {number}", partial(_joules, nvml, handle)) for number, handle in enumerate(handles)]


def _joules(nvml: Any, handle: Any) -> float:
    return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
