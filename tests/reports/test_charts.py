"""Charts: values land where a ruler would put them, and those who do not see them are told."""

import re
from xml.etree import ElementTree

import pytest

from splade.reports.charts import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, bar_chart, line_chart, short
from tests.reports.made import HOSTILE


def parsed(figure):
    return ElementTree.fromstring(figure)


def points(figure):
    (line,) = parsed(figure).iter("polyline")
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def ticks(figure, anchor):
    return [text.text for text in parsed(figure).iter("text") if text.get("text-anchor") == anchor]


def test_a_line_goes_from_the_lower_left_to_the_upper_right_of_its_frame():
    found = points(line_chart("t", {"a": [(0, 0), (50, 0.25), (100, 1)]}, x="step"))
    assert found[0] == (LEFT, HEIGHT - BOTTOM)
    assert found[-1] == (WIDTH - RIGHT, TOP)
    assert found[1] == pytest.approx(
        ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM - 0.25 * (HEIGHT - BOTTOM - TOP)), abs=0.06
    )


def test_ticks_are_round_and_hold_all_values_between_them():
    figure = line_chart("t", {"a": [(3, 0.543), (197, 0.584)]}, x="step")
    assert ticks(figure, "end") == ["0.54", "0.56", "0.58", "0.6"]
    assert ticks(figure, "middle") == ["50", "100", "150", "step"]


@pytest.mark.parametrize("values", [[5, 5], [0, 0], [-3, -3], [1e-9, 2e-9], [1e12, 3e12], [-1, 1]])
def test_any_values_stay_within_the_frame(values):
    for _, place in points(line_chart("t", {"a": list(enumerate(values))}, x="step")):
        assert TOP <= place <= HEIGHT - BOTTOM


def test_a_logarithmic_scale_has_equal_steps_for_equal_factors():
    (_, one), (_, ten), (_, hundred) = points(line_chart("t", {"a": [(1, 1), (2, 10), (3, 100)]}, x="terms", log=True))
    assert one - ten == pytest.approx(ten - hundred, abs=0.11)


def test_long_series_are_thinned_and_keep_both_ends():
    figure = line_chart("t", {"a": [(step, step) for step in range(10_000)]}, x="step")
    assert len(points(figure)) == MOST_POINTS
    assert "a, step 0: 0<" in figure
    assert "a, step 9,999: 9999<" in figure


def test_a_chart_says_what_it_shows_to_those_who_do_not_see_it():
    figure = parsed(line_chart("Loss", {"loss": [(20, 1.0), (40, 0.25), (60, 0.5)]}, x="step"))
    (svg,) = [each for each in figure.iter("svg") if each.get("role") == "img"]
    title, described = (figure.find(f".//*[@id='{name}']") for name in svg.get("aria-labelledby").split())
    assert title.text == "Loss"
    assert described.text == "loss: 1 at step 20, 0.5 at step 60, between 0.25 and 1"


def test_several_lines_have_a_legend_and_one_does_not():
    two = line_chart("t", {"a": [(0, 1)], "b": [(0, 2)]}, x="step")
    assert re.findall(r"</svg>(\w+)</li>", two) == ["a", "b"]
    assert "legend" not in line_chart("t", {"a": [(0, 1)]}, x="step")


def test_bars_are_as_long_as_their_values_and_say_them():
    figure = parsed(bar_chart("t", {"mean": 1.0, "p99": 4.0}, "ms"))
    one, four = (float(bar.get("width")) for bar in figure.iter("rect"))
    assert four == pytest.approx(4 * one, rel=0.01)
    assert [text.text for text in figure.iter("text")] == ["mean", "1 ms", "p99", "4 ms"]


def test_texts_of_charts_are_escaped_and_nothing_is_drawn_without_values():
    figure = line_chart(HOSTILE, {HOSTILE: [(0, 1)], "b": [(0, 2)]}, x=HOSTILE, y=HOSTILE) + bar_chart(
        HOSTILE, {HOSTILE: 1.0}, HOSTILE
    )
    assert "<script" not in figure
    assert "<img" not in figure
    parsed(f"<div>{figure}</div>")
    assert line_chart("t", {"a": []}, x="step") == bar_chart("t", {}, "ms") == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.01234, "0.0123"), (12.3456, "12.3"), (1234, "1,234"), (12345, "12.3k"), (3.4e6, "3.4M"), (2e9, "2G"), (0, "0")],
)
def test_numbers_are_short(value, said):
    assert short(value) == said
