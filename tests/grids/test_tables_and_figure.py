"""The outcome of a grid: times on one scale, fronts, the table, and what the figure shows of it."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from splade.grids import Point, SetOutcome, markdown, tradeoff_figure
from splade.grids.figure import Note, _panel, _place
from splade.grids.tables import titled
from splade.results import Result

# point: metric, bytes, measured milliseconds, ratio to the baseline in the same rounds
MEASURED = {
    (): (0.5, 4 << 20, 2.0, 1.0),
    (("prune_mass", 0.9),): (0.5, 3 << 20, 1.0, 0.5),
    (("prune_mass", 0.5),): (0.4, 1 << 20, 0.4, 0.2),
    (("query_mass", 0.9),): (0.45, 4 << 20, 8.0, 0.8),  # timed later, on a machine that was five times as slow
}


def result(values, metric, size, ms, ratio):
    stats = {"index": {"n_postings": 7}, "flops": 1.5, "latency_ms": {"mean": ms}}
    told = {"disk_bytes": size, "time_ratio": ratio, "overlap_10": 0.75}
    details = {"search_stats": stats, "q_stats": {"L0_q": 3.0}, "tradeoffs": told}
    return Result(Path("OUT"), Point(values).name, "SET", {"mrr_10": metric}, {}, details)


@pytest.fixture
def outcome():
    points = [Point(values) for values in MEASURED]
    return SetOutcome("SET", "mrr_10", points, [result(values, *told) for values, told in MEASURED.items()])


def test_times_of_points_measured_later_are_on_the_scale_of_the_baselines_first(outcome):
    assert outcome.milliseconds() == [2.0, 1.0, 0.4, 1.6]
    assert [row["latency_ms"]["mean"] for row in outcome.rows()] == [2.0, 1.0, 0.4, 8.0]


def test_rows_say_what_a_point_gives_up_and_whether_it_is_on_a_front(outcome):
    rows = outcome.rows()
    assert [round(row["difference"], 9) for row in rows] == [0, 0, -0.1, -0.05]
    assert [row["on_front"] for row in rows] == [{"bytes": on, "ms": on} for on in (False, True, True, False)]
    assert outcome.fronts() == {"bytes": [2, 1], "ms": [2, 1]}


def test_the_table_has_a_row_for_each_point_under_the_titles_of_its_axes(outcome):
    table = markdown([outcome], "Two documents.").splitlines()
    assert table[2] == "Two documents."
    assert "| baseline | 0.5000 |  | 4.00 MiB | 100% | 7 | 1.500 | 2.000 | 1.00 | 0.750 |  |" in table
    row = next(line for line in table if line.startswith("| document mass 0.5"))
    assert row.endswith("| 0.4000 | -0.1000 | 1.00 MiB | 25% | 7 | 1.500 | 0.400 | 0.20 | 0.750 | **b** **t** |")
    assert titled({"prune_mass": 0.9, "weight_bits": 8}) == "document mass 0.9, weight bits 8"


def test_a_line_of_the_figure_leads_from_the_baseline_along_an_axis_and_the_front_is_ringed(outcome, tmp_path):
    axes = Figure().subplots()
    notes = _panel(axes, outcome, outcome.milliseconds(), outcome.fronts()["ms"], {0, 1, 2, 3})
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["document mass"] == [[2.0, 0.5], [1.0, 0.5], [0.4, 0.4]]
    assert lines["query mass"] == [[2.0, 0.5], [1.6, 0.45]]
    assert lines["Pareto front"] == [[0.4, 0.4], [1.0, 0.5]]
    assert lines["baseline"] == [[2.0, 0.5]]
    assert axes.get_xscale() == "log"  # the largest is more than four times the smallest
    assert [note.text for note in notes] == ["0.9", "0.5", "0.9"]
    tradeoff_figure([outcome, outcome], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_notes_cover_neither_each_other_nor_a_mark_and_those_without_room_are_left_out():
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    crowd = [Note(axes, (0.5 + 0.004 * n, 0.5), f"0.{n}", "black") for n in range(30)]
    alone = Note(axes, (0.1, 0.1), "16", "black")
    figure.draw_without_rendering()
    _place([alone, *crowd])
    texts = axes.texts
    assert "16" in [text.get_text() for text in texts]
    assert 1 < len(texts) < 31
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[n + 1 :])
