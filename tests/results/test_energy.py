import sys
from types import SimpleNamespace

import pytest

from splade.results import energy


def zone(root, number, name, microjoules, highest=1_000_000):
    folder = root / f"intel-rapl:{number}"
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{highest}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_packages_are_counted_in_joules_and_their_parts_are_not_counted_twice(tmp_path):
    package = zone(tmp_path, "0", "package-0", 250_000)
    zone(tmp_path, "0:0", "core", 100_000)
    zone(tmp_path, "1", "psys", 900_000)
    (counter,) = energy.counters(tmp_path)
    before = counter.joules()
    (package / "energy_uj").write_text("750000")
    assert (counter.name, before, energy.used(counter, before, counter.joules())) == ("processor package-0", 0.25, 0.5)


def test_a_count_that_began_again_is_continued(tmp_path):
    package = zone(tmp_path, "0", "package-0", 900_000)
    (counter,) = energy.counters(tmp_path)
    before = counter.joules()
    (package / "energy_uj").write_text("100000")
    assert energy.used(counter, before, counter.joules()) == pytest.approx(0.2)


def test_a_machine_that_tells_nothing_has_no_counters(tmp_path):
    assert energy.counters(tmp_path / "absent") == []
    (zone(tmp_path, "0", "package-0", 1) / "energy_uj").write_text("")  # as one that may not be read
    assert energy.counters(tmp_path) == []


class NVMLError(Exception):
    pass


def nvml(millijoules):
    def total(handle):
        if millijoules is None:
            raise NVMLError
        return millijoules[handle]

    return SimpleNamespace(
        __spec__=SimpleNamespace(name="pynvml"),
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetTotalEnergyConsumption=total,
    )


def test_each_gpu_is_counted_by_itself(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml([3_000, 5_000]))
    assert [(one.name, one.joules()) for one in energy.counters(tmp_path)] == [("gpu 0", 3.0), ("gpu 1", 5.0)]


def test_a_gpu_that_cannot_tell_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", nvml(None))
    assert energy.counters(tmp_path) == []
