"""The figure of a grid: the metric against bytes and against time, a line for each axis; matplotlib is loaded here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from splade.files import whole_file
from splade.grids.points import AXES, Point, along
from splade.grids.tables import MIB, SetOutcome, titled

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5195", "#b8860b", "#56b4e9", "#444444", "#c0392b")
"""One for each axis, told apart with any colour vision; markers differ too."""
MARKERS = "osD^vP*Xp"
FRONT = "#9a9a9a"
FAR = 4  # the ratio of largest and smallest cost from which on the scale is logarithmic
SIZE, WIDE, HIGH = 7, 4.0, 7  # points: of the type of notes, the width of a character, the height of a line


def tradeoff_figure(outcomes: Sequence[SetOutcome], path: str | Path) -> None:
    """Draw a row of two panels for each query set to the PNG file ``path``.

    In mode "each" a line leads from the baseline through the points of an axis. Points that change several axes are
    dots of one colour. Rings and the grey steps mark the Pareto front. A point that leaves the index as it is is drawn
    against bytes only if it is on that front. Values stand beside the marks where there is room. Costs that are far
    apart have a logarithmic scale.
    """
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(12.5, 0.9 + 4.8 * len(outcomes)), layout="constrained")
    panels = figure.subplots(len(outcomes), 2, squeeze=False, sharey="row")
    notes = []
    for outcome, (by_bytes, by_time) in zip(outcomes, panels, strict=True):
        fronts, points = outcome.fronts(), outcome.points
        of_layout = {n for n, point in enumerate(points) if point.layout() or not point.values}
        sizes = [size / MIB for size in outcome.disk_bytes()]
        notes += _panel(by_bytes, outcome, sizes, fronts["bytes"], of_layout | {*fronts["bytes"]})
        notes += _panel(by_time, outcome, outcome.milliseconds(), fronts["ms"], {*range(len(points))})
        by_bytes.set(xlabel="index on the disk (MiB)", ylabel=outcome.metric)
        by_time.set(xlabel="time of a query (ms)")
        by_bytes.set_title(outcome.name, loc="left", fontsize=11)
    handles, labels = _legend(panels)
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    figure.draw_without_rendering()  # now the panels have their places, and notes can be put where there is room
    for axes in panels.flat:
        _place([note for note in notes if note.axes is axes])
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=150)


class Note(NamedTuple):
    """A text that is to stand beside a mark."""

    axes: Any
    where: tuple[float, float]
    text: str
    colour: str


def _panel(axes: Any, outcome: SetOutcome, costs: Sequence[float], front: Sequence[int], shown: set[int]) -> list[Note]:
    """Draw the points with the numbers ``shown`` by ``costs``; returns the notes on them, those on the front first."""
    values, points, notes = outcome.values(), outcome.points, []

    def draw(numbers: Sequence[int], **style: Any) -> None:
        axes.plot([costs[n] for n in numbers], [values[n] for n in numbers], **style)

    if len(front) > 1:
        draw(front, drawstyle="steps-post", color=FRONT, linewidth=1, zorder=1)
    ring = {"markersize": 12, "markerfacecolor": "none", "markeredgecolor": FRONT, "markeredgewidth": 1.3}
    draw(front, linestyle="none", marker="o", label="Pareto front", zorder=2, **ring)
    for number, axis in enumerate(AXES):
        line, colour = [n for n in along(axis, points) if n in shown], COLOURS[number]
        if len(line) > 1:
            style = {"marker": MARKERS[number], "markersize": 5, "linewidth": 1.2, "label": AXES[axis].title}
            draw(line, color=colour, alpha=0.9, zorder=3, **style)
            notes += [(n, colour) for n in line[1:]]
    several = sorted(n for n in shown if len(points[n].values) > 1)
    if several:
        draw(several, linestyle="none", marker="o", markersize=5, color=COLOURS[0], label="several axes", zorder=3)
        notes += [(n, COLOURS[0]) for n in several]
    draw([0], marker="o", color="black", markersize=8, linestyle="none", label="baseline", zorder=4)
    axes.axhline(values[0], color="black", linewidth=0.6, alpha=0.35, zorder=0)
    axes.grid(visible=True, alpha=0.25)
    axes.margins(x=0.08, y=0.08)
    if max(costs) > FAR * min(costs) > 0:
        _logarithmic(axes)
    notes.sort(key=lambda note: note[0] not in front)
    return [Note(axes, (costs[n], values[n]), _text(points[n]), colour) for n, colour in notes]


def _text(point: Point) -> str:
    """The value of a point on its axis; with their titles where it has several."""
    return str(point.values[0][1]) if len(point.values) == 1 else titled(dict(point.values))


def _logarithmic(axes: Any) -> None:
    """Give costs a logarithmic scale, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _place(notes: Sequence[Note]) -> None:
    """Put each note beside its mark, where it covers no other and no mark; leave out those that fit nowhere."""
    if not notes:
        return
    pixel = notes[0].axes.figure.dpi / 72
    marks = [tuple(note.axes.transData.transform(note.where) / pixel) for note in notes]
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in marks]
    left, bottom, right_end, top = (edge / pixel for edge in notes[0].axes.bbox.extents)
    for note, (x, y) in zip(notes, marks, strict=True):
        width = WIDE * len(note.text)
        for right, up in ((6, 3), (6, -9), (-6 - width, 3), (-6 - width, -9), (-width / 2, 7), (-width / 2, -14)):
            box = (x + right, y + up, x + right + width, y + up + HIGH)
            inside = left < box[0] and bottom < box[1] and box[2] < right_end and box[3] < top
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                how = {"textcoords": "offset points", "fontsize": SIZE, "color": note.colour, "zorder": 5}
                note.axes.annotate(note.text, note.where, xytext=(right, up), **how)
                break


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(panels: Any) -> tuple[list[Any], list[str]]:
    """Each label once, over all panels: the baseline first, the front last."""
    found: dict[str, Any] = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    ends = ("baseline", "Pareto front")
    known = [*(axis.title for axis in AXES.values()), "several axes"]
    labels = [ends[0], *(label for label in known if label in found), ends[1]]
    return [found[label] for label in labels], labels
