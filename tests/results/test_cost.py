import sys

import numpy as np
import pytest

from splade.results import cost, energy


def test_a_meter_tells_time_memory_and_energy_of_its_block(monkeypatch):
    counts = iter([2.0, 7.5])
    monkeypatch.setattr(energy, "counters", lambda: [energy.Counter("gpu 0", lambda: next(counts))])
    clock = iter([100.0, 103.5])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))
    with cost.Meter() as meter:
        held = np.ones(8 << 20)  # 64 MiB
    told = meter.told()
    assert (told["seconds"], told["energy_joules"]) == (3.5, {"gpu 0": 5.5})
    assert told["peak_memory_mb"] >= held.nbytes / (1 << 20)


def test_where_nothing_tells_of_energy_none_is_told(monkeypatch):
    monkeypatch.setattr(energy, "counters", list)
    with cost.Meter() as meter:
        pass
    assert set(meter.told()) == {"seconds", "peak_memory_mb"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the mark is that of the whole process")
def test_the_peak_of_a_block_is_not_that_of_an_earlier_one():
    with cost.Meter() as large:
        held = np.ones(32 << 20)  # 256 MiB
    del held
    with cost.Meter() as small:
        pass
    assert small.told()["peak_memory_mb"] < large.told()["peak_memory_mb"] - 128


def test_costs_add_up_and_of_memory_the_higher_counts():
    one = {"seconds": 1.0, "peak_memory_mb": 30.0, "energy_joules": {"gpu 0": 2.0}}
    other = {"seconds": 2.5, "peak_memory_mb": 20.0, "energy_joules": {"gpu 0": 1.0, "gpu 1": 4.0}, "more": 1}
    assert cost.sum_of(one, other) == {
        "seconds": 3.5,
        "peak_memory_mb": 30.0,
        "energy_joules": {"gpu 0": 3.0, "gpu 1": 4.0},
        "more": 1,
    }
    assert cost.sum_of({}, one) == one == cost.sum_of(one, {})
