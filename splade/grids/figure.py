"""The figure of a grid: the metric against bytes and against time, a line for each axis; matplotlib is loaded here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from splade.files import whole_file
from splade.grids.points import AXES, Point, along
from splade.grids.tables import MIB, SetOutcome

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5195", "#b8860b", "#56b4e9", "#444444", "#c0392b")
"""One for each axis, told apart with any colour vision; markers differ too."""
MARKERS = "osD^vP*Xp"
FRONT = "#9a9a9a"


def tradeoff_figure(outcomes: Sequence[SetOutcome], path: str | Path) -> None:
    """Draw a row of two panels for each query set to the PNG file ``path``.

    In mode "each" a line leads from the baseline through the points of an axis. Points that change several axes are
    dots of one colour. Rings and the grey line mark the Pareto front. Points that leave the index as it is are drawn
    against time alone.
    """
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(12.5, 0.9 + 4.6 * len(outcomes)), layout="constrained")
    panels = figure.subplots(len(outcomes), 2, squeeze=False, sharey="row")
    for outcome, (by_bytes, by_time) in zip(outcomes, panels, strict=True):
        of_layout = [n for n, point in enumerate(outcome.points) if point.layout() or not point.values]
        sizes = [size / MIB for size in outcome.disk_bytes()]
        _panel(by_bytes, outcome, sizes, outcome.fronts()["bytes"], of_layout)
        _panel(by_time, outcome, outcome.milliseconds(), outcome.fronts()["ms"], list(range(len(outcome.points))))
        by_bytes.set(xlabel="index on the disk (MiB)", ylabel=outcome.metric)
        by_time.set(xlabel="time of a query (ms)")
        by_bytes.set_title(outcome.name, loc="left", fontsize=11)
    handles, labels = _legend(panels)
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=150)


def _panel(axes: Any, outcome: SetOutcome, costs: Sequence[float], front: Sequence[int], shown: list[int]) -> None:
    values, points = outcome.values(), outcome.points
    front = [n for n in front if n in shown]
    if len(front) > 1:
        axes.step([costs[n] for n in front], [values[n] for n in front], where="post", color=FRONT, lw=1, zorder=1)
    axes.plot(
        [costs[n] for n in front], [values[n] for n in front], linestyle="none", marker="o", markersize=12,
        markerfacecolor="none", markeredgecolor=FRONT, markeredgewidth=1.2, zorder=1, label="Pareto front",
    )  # fmt: skip
    for number, axis in enumerate(AXES):
        line = [n for n in along(axis, points) if n in shown]
        if len(line) > 1:
            axes.plot(
                [costs[n] for n in line], [values[n] for n in line], color=COLOURS[number], marker=MARKERS[number],
                markersize=5, linewidth=1.2, alpha=0.9, label=AXES[axis].title, zorder=3,
            )  # fmt: skip
            for place, n in enumerate(line[1:]):
                _note(axes, points[n], (costs[n], values[n]), COLOURS[number], place)
    several = [n for n in shown if len(points[n].values) > 1]
    if several:
        axes.plot(
            [costs[n] for n in several], [values[n] for n in several], linestyle="none", marker="o", markersize=5,
            color=COLOURS[0], alpha=0.8, label="several axes", zorder=3,
        )  # fmt: skip
        for n in set(several) & set(front):
            _note(axes, points[n], (costs[n], values[n]), COLOURS[0], 0)
    axes.plot(
        costs[0], values[0], marker="o", color="black", markersize=8, linestyle="none", label="baseline", zorder=4
    )
    axes.axhline(values[0], color="black", linewidth=0.6, alpha=0.35, zorder=0)
    axes.grid(visible=True, alpha=0.25)
    axes.margins(x=0.08, y=0.08)


def _note(axes: Any, point: Point, where: tuple[float, float], colour: str, place: int) -> None:
    """The value of a point beside its mark, above and below in turn."""
    text = "/".join(str(value) for _, value in point.values)
    offset = (5, 4) if place % 2 == 0 else (5, -10)
    axes.annotate(text, where, xytext=offset, textcoords="offset points", fontsize=7, color=colour, zorder=5)


def _legend(panels: Any) -> tuple[list[Any], list[str]]:
    """Each label once, over all panels."""
    found: dict[str, Any] = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    last = [label for label in ("Pareto front",) if label in found]
    labels = ["baseline", *(label for label in found if label not in ("baseline", *last)), *last]
    return [found[label] for label in labels], labels
