"""Points are timed in turns, and rounds that are finished are not measured again."""

import numpy as np
import pytest

from splade.grids import Passes


def searches(told, n_points, seconds=lambda point, turn: [float(point)]):
    """A search for each point, which writes down that it was called, and says that it took so long."""
    turns = [0] * n_points

    def of(point):
        def search():
            told.append(point)
            turns[point] += 1
            return seconds(point, turns[point] - 1)

        return search

    return [of(point) for point in range(n_points)]


def test_each_round_times_every_point_once_and_begins_with_another(tmp_path):
    told = []
    Passes(tmp_path / "p", ["s"], 4).measure(searches(told, 4))
    rounds = [told[4 * turn : 4 * turn + 4] for turn in range(4)]
    assert all(sorted(each) == [0, 1, 2, 3] for each in rounds)
    assert rounds == [[0, 1, 2, 3], [0, 3, 2, 1], [2, 3, 0, 1], [2, 1, 0, 3]]


@pytest.mark.parametrize(("n_points", "repeats"), [(1, 3), (3, 5), (7, 7), (30, 4)])
def test_no_point_is_always_first_nor_always_after_the_same_one(n_points, repeats, tmp_path):
    passes = Passes(tmp_path / "p", [], repeats)
    orders = [passes.order(turn, n_points) for turn in range(repeats)]
    assert all(sorted(order) == list(range(n_points)) for order in orders)
    if n_points > 2:
        assert len({tuple(order) for order in orders}) == repeats
        after = [{order[order.index(point) - 1] for order in orders} for point in range(n_points)]
        assert all(len(before) > 1 for before in after)


def test_a_querys_time_is_its_median_over_the_rounds(tmp_path):
    times = {0: [[1.0, 9.0], [3.0, 2.0], [2.0, 2.0]], 1: [[5.0, 5.0], [5.0, 5.0], [0.0, 5.0]]}
    found = Passes(tmp_path / "p", [], 3).measure(searches([], 2, lambda point, turn: times[point][turn]))
    assert found.tolist() == [[2.0, 2.0], [5.0, 5.0]]


def test_an_interrupted_measurement_goes_on_after_the_last_whole_round(tmp_path):
    def stop(point, turn):
        if (point, turn) == (0, 2):
            raise KeyboardInterrupt
        return [10.0 * turn + point]

    with pytest.raises(KeyboardInterrupt):
        Passes(tmp_path / "p", {"of": "these"}, 3).measure(searches([], 2, stop))
    told = []
    passes = Passes(tmp_path / "p", {"of": "these"}, 3)
    found = passes.measure(searches(told, 2, lambda point, _: [20.0 + point]))
    assert sorted(told) == [0, 1]
    assert found.tolist() == [[10.0], [11.0]]
    passes.drop()
    assert not (tmp_path / "p").exists()


def test_rounds_of_other_points_are_measured_again(tmp_path):
    Passes(tmp_path / "p", {"of": "these"}, 2).measure(searches([], 2))
    told = []
    Passes(tmp_path / "p", {"of": "others"}, 2).measure(searches(told, 2))
    assert len(told) == 4
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        Passes(tmp_path / "p", {}, 0)
    assert np.load(tmp_path / "p/000.npy").shape == (2, 1)
