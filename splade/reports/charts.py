"""Charts as SVG within the page: their text can be selected, their colours follow the page's.

A chart is drawn for the width of a telephone and grows with its place. It has a title and a description for those who
do not see it, and each point says its values to a pointer that rests on it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 360, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 10, 36
MOST_POINTS = 160
COLOURS = 4  # the page has --series-1 to --series-4

Points = Sequence[tuple[float, float]]


def line_chart(
    title: str, series: Mapping[str, Points], *, x: str, y: str = "", log: bool = False, area: bool = False
) -> str:
    """A figure with one line for each series, ``{name: points}``, over a common scale; "" without any point.

    ``log`` draws the logarithm of values, which must then be positive; ``area`` fills below a single line.
    """
    series = {name: _thinned(points) for name, points in series.items() if points}
    if not series:
        return ""
    every = [point for points in series.values() for point in points]
    across = _Scale([point[0] for point in every], LEFT, WIDTH - RIGHT, exact=True)
    along = _Scale([point[1] for point in every], HEIGHT - BOTTOM, TOP, log=log, from_zero=not log)
    drawn = [*_axes(across, along, x, y)]
    for number, (name, points) in enumerate(series.items(), 1):
        drawn += _line(number, name, points, across, along, x, area=area)
    described = "; ".join(_described(name, points, x) for name, points in series.items())
    return _figure(title, described, drawn, list(series) if len(series) > 1 else [])


def bar_chart(title: str, values: Mapping[str, float], unit: str) -> str:
    """A figure with a horizontal bar for each value, ``{name: value}``, its value written beside it; "" without any."""
    if not values:
        return ""
    height, most = 22, max(values.values()) or 1.0
    left, room = 10 + 6.2 * max(map(len, values)), 62
    drawn = []
    for number, (name, value) in enumerate(values.items()):
        top, length = 4 + number * height, max((WIDTH - left - room) * value / most, 1.0)
        drawn.append(f'<text x="{left - 6:.0f}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        drawn.append(f'<rect class="bar" x="{left:.0f}" y="{top + 3}" width="{length:.1f}" height="14" rx="2"/>')
        drawn.append(
            f'<text class="value" x="{left + length + 5:.0f}" y="{top + 14}">{short(value)} {escape(unit)}</text>'
        )
    described = "; ".join(f"{name}: {short(value)} {unit}" for name, value in values.items())
    return _figure(title, described, drawn, [], 8 + len(values) * height)


def short(value: float) -> str:
    """A number with three digits or so: 0.0123, 1.5, 12k, 3.4M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.3g}{letter}"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1000 else f"{value:.3g}"


class _Scale:
    """From values to places between ``start`` and ``stop``, with round ticks.

    It ends at ticks, or with ``exact`` at the lowest and the highest value.
    """

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        stop: float,
        *,
        log: bool = False,
        from_zero: bool = False,
        exact: bool = False,
    ) -> None:
        self.log, self.start, self.stop = log, start, stop
        low, high = min(values), max(values)
        if log:
            self.ticks = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
            if len(self.ticks) < 2:
                self.ticks.append(self.ticks[0] * 10)
        else:
            if from_zero and low > 0 and low < 0.6 * high:
                low = 0.0
            self.ticks = list(_ticks(low, high))
        self.low, self.high = min(low, self.ticks[0]), max(high, self.ticks[-1])
        if exact and low < high:
            self.low, self.high = low, high
            self.ticks = [tick for tick in self.ticks if low <= tick <= high]

    def __call__(self, value: float) -> float:
        low, high, here = (map(math.log10, (self.low, self.high, value))) if self.log else (self.low, self.high, value)
        return self.start + (self.stop - self.start) * (here - low) / ((high - low) or 1.0)


def _ticks(low: float, high: float) -> Iterator[float]:
    """Round numbers from at most ``low`` to at least ``high``, about five."""
    span = (high - low) or abs(high) or 1.0
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    yield from (round(number * step, 12) for number in range(first, max(last, first + 1) + 1))


def _axes(across: _Scale, along: _Scale, x: str, y: str) -> Iterator[str]:
    for tick in along.ticks:
        place = along(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>'
        yield f'<text x="{LEFT - 5}" y="{place + 4:.1f}" text-anchor="end">{short(tick)}</text>'
    for tick in across.ticks:
        yield f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{short(tick)}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{escape(x)}</text>'
    if y:
        middle = (TOP + HEIGHT - BOTTOM) / 2
        yield f'<text transform="translate(10 {middle}) rotate(-90)" text-anchor="middle">{escape(y)}</text>'


def _line(
    number: int, name: str, points: Points, across: _Scale, along: _Scale, x: str, *, area: bool = False
) -> Iterator[str]:
    colour = (number - 1) % COLOURS + 1
    places = [(across(first), along(second)) for first, second in points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    dashed = " dashed" if number % 2 == 0 else ""  # what lies below it shows through
    if area:
        ends = f"{places[-1][0]:.1f},{along.start} {places[0][0]:.1f},{along.start}"
        yield f'<polygon class="area s{colour}" points="{path} {ends}"/>'
    yield f'<polyline class="line s{colour}{dashed}" points="{path}"/>'
    for (a, b), (first, second) in zip(places, points, strict=True):
        told = escape(f"{name}, {x} {short(first)}: {second:.4g}")
        lone = " lone" if len(points) == 1 else ""
        yield f'<circle class="point s{colour}{lone}" cx="{a:.1f}" cy="{b:.1f}" r="5"><title>{told}</title></circle>'


def _described(name: str, points: Points, x: str) -> str:
    (first, begin), (last, end) = points[0], points[-1]
    low, high = min(point[1] for point in points), max(point[1] for point in points)
    return (
        f"{name}: {begin:.4g} at {x} {short(first)}, {end:.4g} at {x} {short(last)}, between {low:.4g} and {high:.4g}"
    )


def _thinned(points: Points) -> Points:
    """At most ``MOST_POINTS`` of the points, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(number * step)] for number in range(MOST_POINTS)]


def _figure(title: str, described: str, drawn: Sequence[str], names: Sequence[str], height: int = HEIGHT) -> str:
    here = "chart-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    keys = [
        f'<li><svg class="key" viewBox="0 0 14 4" aria-hidden="true"><rect class="s{number % COLOURS + 1}" width="14" '
        f'height="4" rx="2"/></svg>{escape(name)}</li>'
        for number, name in enumerate(names)
    ]
    legend = f'<ul class="legend">{"".join(keys)}</ul>' if keys else ""
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{legend}"
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{here}-t {here}-d">'
        f'<title id="{here}-t">{escape(title)}</title><desc id="{here}-d">{escape(described)}</desc>'
        f"{''.join(drawn)}</svg></figure>"
    )
