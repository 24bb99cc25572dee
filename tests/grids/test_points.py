"""The axes of a grid, and its points."""

import pytest

from splade.grids import AXES, Point, points_of
from splade.grids.points import GRID, along
from splade.search.searcher import check_strategy


def names(points):
    return [point.name for point in points]


def test_one_axis_changes_at_a_time_and_the_baseline_comes_first():
    grid = {"query_mass": [0.9, None], "prune_mass": [0.9, 0.5, 0.9]}
    assert names(points_of(grid)) == ["baseline", "prune_mass=0.9", "prune_mass=0.5", "query_mass=0.9"]


def test_a_product_has_every_combination_and_null_is_as_configured():
    grid = {"prune_mass": [None, 0.5], "weight_bits": [16, 8]}
    assert names(points_of(grid, "product")) == [
        "baseline",
        "weight_bits=16",
        "weight_bits=8",
        "prune_mass=0.5 weight_bits=16",
        "prune_mass=0.5 weight_bits=8",
    ]


def test_two_strategies_in_one_point_are_refused_in_words():
    with pytest.raises(ValueError, match="two_step and recall are strategies, and a search has one"):
        points_of({"two_step": [5], "recall": [0.9]}, "product")
    assert len(points_of({"two_step": [None], "recall": [0.9]}, "product")) == 2
    assert len(points_of({"two_step": [5], "recall": [0.9]}, "each")) == 3
    with pytest.raises(ValueError, match="mode=both: accepted are each, product"):
        points_of({}, "both")


def test_a_point_says_what_it_changes_of_layout_queries_and_strategy():
    point = Point((("prune_top_terms", 9), ("weight_bits", 8), ("query_mass", 0.5), ("recall", 0.9)))
    assert point.layout() == {"prune_top_terms": 9, "weights": "uint8"}
    assert point.queries() == {"prune_mass": 0.5}
    assert point.strategy() == ("approximate", {"recall": 0.9})
    assert Point().layout() == Point().queries() == {}
    assert Point().strategy() is None


def test_points_have_folders_of_their_own():
    points = points_of(GRID)
    assert len({point.folder for point in points}) == len(points)
    assert (
        points_of({"prune_mass": [0.9], "query_mass": [0.5]}, "product")[1].folder == "prune_mass_0.9__query_mass_0.5"
    )


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_has_values_by_default_and_its_strategy_takes_them(axis):
    for value in GRID[axis]:
        point = Point(((axis, value),))
        assert bool(point.layout()) + bool(point.queries()) + (point.strategy() is not None) == 1
        if (chosen := point.strategy()) is not None:
            check_strategy(*chosen)


def test_a_line_leads_from_the_baseline_to_the_value_that_gives_up_most():
    points = points_of({"prune_mass": [0.5, 0.9], "prune_min_weight": [0.4, 0.1]})
    assert names([points[n] for n in along("prune_mass", points)]) == ["baseline", "prune_mass=0.9", "prune_mass=0.5"]
    assert names([points[n] for n in along("prune_min_weight", points)])[1:] == [
        "prune_min_weight=0.1",
        "prune_min_weight=0.4",
    ]
