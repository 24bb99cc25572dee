"""Figures of a comparison: means, effectiveness against cost, and the differences of single queries.

They are readable in grey: systems differ by the shapes of their marks and by their names beside them. matplotlib is
loaded when a figure is drawn.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from splade.comparing.comparison import Comparison, Mean, averages, differences
from splade.comparing.pareto import pareto_front
from splade.comparing.systems import System
from splade.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {"flops": "FLOPS (postings a query and a document share)", "latency_ms": "latency (ms a query)",
        "index_bytes": "index (MB)"}  # fmt: skip
MARKS = "osD^vP*Xdph<>"
DARK, GREY, LIGHT = "#1b1b1b", "#767676", "#d0d0d0"
ACCENT = "#1f5fa8"
WIDE = 10  # the ratio of largest and smallest cost from which on its axis is logarithmic
MOST_PAIRS = 12  # panels of the figure of single queries
SPOTS = ((7, 5, "left"), (-7, 5, "right"), (7, -11, "left"), (-7, -11, "right"), (0, 9, "center"), (0, -17, "center"))
"""Places of a name beside its point, in points of type, the preferred one first."""
LABEL = 28  # characters of a name that a figure shows


def comparison_figure(comparison: Comparison, path: str | Path, dataset: str | None = None) -> None:
    """Draw a row for each metric to the PNG file ``path``: its means, and it against each cost that is known.

    ``dataset`` names the query set; None draws the average over all of them.
    """
    means = averages(comparison) if dataset is None else comparison.means[dataset]
    names = list(next(iter(means.values())))
    costs = _costs(comparison, dataset, names)
    n_rows, n_columns = len(comparison.metrics), 1 + len(costs)
    height = max(2.6, 0.34 * len(names) + 1.3)
    figure = _figure(4.6 * n_columns, height * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    written: list[tuple[Any, list[tuple[str, float, float]]]] = []
    for row, metric in zip(panels, comparison.metrics, strict=True):
        draw_means(row[0], means[metric], metric)
        for axes, (cost, values) in zip(row[1:], costs.items(), strict=True):
            points = [(name, values[name], means[metric][name]) for name in names if name in values]
            written.append((axes, draw_tradeoff(axes, points, AXES[cost], metric, names)))
    title = f"average of {len(comparison.sets)} query sets" if dataset is None else dataset
    figure.suptitle(f"{title}, {100 * comparison.settings.level:.3g} % confidence intervals", fontsize=10)
    write_names(figure, written)
    _save(figure, path)


def queries_figure(comparison: Comparison, path: str | Path, dataset: str) -> None:
    """Draw the difference of every query, sorted, for each pair of systems by the first metric, to the PNG ``path``."""
    metric = comparison.metrics[0]
    systems = {system.name: system for system in comparison.sets[dataset]}
    pairs = [pair for pair in comparison.pairs if (pair.dataset, pair.metric) == (dataset, metric)]
    drawn = pairs[:MOST_PAIRS]
    n_columns = min(len(drawn), 3)
    n_rows = -(-len(drawn) // n_columns)
    figure = _figure(4.6 * n_columns, 2.9 * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    for axes, pair in zip(panels.flat, drawn, strict=False):
        first, second = systems[pair.first], systems[pair.second]
        draw_differences(axes, first, second, metric)
    for axes in list(panels.flat)[len(drawn) :]:
        axes.set_axis_off()
    left = f" (the first {len(drawn)} of {len(pairs)} pairs)" if len(pairs) > len(drawn) else ""
    figure.suptitle(f"{dataset}: difference of each query in {metric}{left}", fontsize=10)
    _save(figure, path)


def draw_means(axes: Any, means: dict[str, Mean], metric: str) -> None:
    """Draw the mean of each system as a point on a line of its own, with its confidence interval."""
    for place, mean in enumerate(means.values()):
        if math.isfinite(mean.low):
            axes.plot([mean.low, mean.high], [place, place], color=GREY, linewidth=1.6, solid_capstyle="butt", zorder=1)
            for end in (mean.low, mean.high):
                axes.plot([end, end], [place - 0.12, place + 0.12], color=GREY, linewidth=1.2, zorder=1)
        axes.plot(mean.value, place, marker=_mark(place), color=DARK, markersize=6, linestyle="none", zorder=2)
        label = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
        axes.annotate(f"{mean.value:.3f}", (mean.value, place), (0, 6), **label)
    axes.set_yticks(range(len(means)), [_short(name) for name in means], fontsize=8)
    axes.set_ylim(len(means) - 0.4, -0.7)
    axes.margins(x=0.12)
    axes.set_xlabel(metric)
    _plain(axes, "x")


def draw_tradeoff(
    axes: Any, points: Sequence[tuple[str, float, Mean]], cost: str, metric: str, order: Sequence[str] = ()
) -> list[tuple[str, float, float]]:
    """Draw systems (name, cost, mean) by cost and value, with intervals and the Pareto front; where each is, by name.

    The names are written by `write_names`. Systems on the front are filled. The scale of costs is logarithmic where
    they are far apart. ``order`` are the names of all systems, by which each has its mark in every panel.
    """
    scale = 1e6 if cost == AXES["index_bytes"] else 1.0
    names = list(order) or [name for name, _, _ in points]
    places = [(value / scale, mean.value) for _, value, mean in points]
    front = pareto_front(places)
    costs = [x for x, _ in places]
    if min(costs) > 0 and max(costs) / min(costs) >= WIDE:
        _logarithmic(axes)
    for number, (name, _, mean) in enumerate(points):
        x, y = places[number]
        if math.isfinite(mean.low):
            axes.plot([x, x], [mean.low, mean.high], color=LIGHT, linewidth=1.4, zorder=1)
        filled = DARK if number in front else "white"
        axes.plot(
            x, y, marker=_mark(names.index(name)), markerfacecolor=filled, markeredgecolor=DARK, markersize=7,
            linestyle="none", zorder=3,
        )  # fmt: skip
    steps = [places[number] for number in front]
    axes.step(*zip(*steps, strict=True), where="post", color=ACCENT, linewidth=1.4, zorder=2, label="Pareto front")
    axes.margins(x=0.18, y=0.14)
    axes.set_xlabel(cost)
    axes.set_ylabel(metric)
    axes.legend(fontsize=7, loc="lower right", frameon=False)
    _plain(axes, "both")
    return [(name, *place) for (name, _, _), place in zip(points, places, strict=True)]


def draw_differences(axes: Any, first: System, second: System, metric: str) -> None:
    """Draw the difference of two systems on each query as bars, largest first, with the mean as a line."""
    found = np.sort(differences(first.per_query[metric], second.per_query[metric]))[::-1]
    edges = np.arange(found.size + 1) + 0.5
    axes.stairs(np.maximum(found, 0), edges, fill=True, color=ACCENT)
    axes.stairs(np.minimum(found, 0), edges, fill=True, color=GREY)
    axes.axhline(0, color=DARK, linewidth=0.8)
    mean = float(found.mean()) if found.size else 0.0
    axes.axhline(mean, color=DARK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_title(f"{_short(first.name)} − {_short(second.name)}: {mean:+.3f}", fontsize=9)
    wins, losses = int((found > 0).sum()), int((found < 0).sum())
    axes.set_xlabel(f"queries: {wins} won, {losses} lost, {found.size - wins - losses} tied", fontsize=8)
    _plain(axes, "y")


def _costs(comparison: Comparison, dataset: str | None, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The value of each cost by system; for several query sets their mean, where all tell it."""
    sets = list(comparison.sets.values()) if dataset is None else [comparison.sets[dataset]]
    found: dict[str, dict[str, float]] = {}
    for cost in AXES:
        for name in names:
            told = [system.costs.get(cost) for systems in sets for system in systems if system.name == name]
            known = [value for value in told if value is not None]
            if known and len(known) == len(told):
                found.setdefault(cost, {})[name] = sum(known) / len(known)
    return found


def write_names(figure: "Figure", panels: Sequence[tuple[Any, Sequence[tuple[str, float, float]]]]) -> None:
    """Write the names beside their points (name, x, y), by axes of ``figure``: each where it covers least."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    figure.draw_without_rendering()  # places in pixels are known from here on
    figure.set_layout_engine("none")  # and stay
    for axes, points in panels:
        marks = [axes.transData.transform(point[1:]) for point in points]
        frame, taken = axes.get_window_extent(), list[Any]()
        for name, x, y in points:
            label = axes.annotate(_short(name), (x, y), (0, 0), textcoords="offset points", fontsize=8, zorder=4)
            label.set_path_effects(halo)
            _settle(label, taken, marks, frame)
            taken.append(label.get_window_extent())


def _settle(label: Any, taken: Sequence[Any], marks: Sequence[Any], frame: Any) -> None:
    """Move ``label`` to where it covers the fewest other labels and marks, and stays within ``frame``."""

    def covered(spot: tuple[int, int, str]) -> float:
        label.set(position=spot[:2], ha=spot[2])
        box = label.get_window_extent()
        outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
        return 5 * outside + 3 * sum(map(box.overlaps, taken)) + 2 * sum(box.contains(*mark) for mark in marks)

    best = min(SPOTS, key=covered)
    label.set(position=best[:2], ha=best[2])


def _figure(width: float, height: float) -> "Figure":
    # Figure without pyplot: no display, no global state, Agg renders the file.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(width, height + 0.3), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Any, grid: str) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, axis=grid, color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_size(9)


def _logarithmic(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark(number: int) -> str:
    return MARKS[number % len(MARKS)]


def _short(name: str) -> str:
    return name if len(name) <= LABEL else f"{name[: LABEL - 1]}…"


def _save(figure: "Figure", path: str | Path) -> None:
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=150)
