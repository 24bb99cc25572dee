"""The axes of a grid and its points: each is a change of the layout, of the queries, or of the strategy."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

BASELINE = "baseline"
"""The name of the point that changes nothing."""
WEIGHTS = {8: "uint8", 16: "float16", 32: "float32"}
"""Types of weights by their bits."""


class Axis(NamedTuple):
    """One thing that points of a grid change, and the values that it may have."""

    title: str  # in tables and figures
    kind: str  # of its values, as conf/settings.yaml writes kinds
    part: str  # of a point that it changes: "layout", "queries" or "strategy"
    argument: str  # its name there; for strategies, STRATEGY.OPTION
    rises: bool = False  # True where a larger value gives up more


AXES = {
    "prune_top_terms": Axis("document terms", "int >= 1", "layout", "prune_top_terms"),
    "prune_min_weight": Axis("least weight", "float >= 0", "layout", "prune_min_weight", rises=True),
    "prune_term_quantile": Axis("term quantile", "float >= 0 and < 1", "layout", "prune_term_quantile", rises=True),
    "prune_mass": Axis("document mass", "float > 0 and <= 1", "layout", "prune_mass"),
    "weight_bits": Axis("weight bits", "one of 8, 16, 32", "layout", "weights"),
    "query_top_terms": Axis("query terms", "int >= 1", "queries", "prune_top_terms"),
    "query_mass": Axis("query mass", "float > 0 and <= 1", "queries", "prune_mass"),
    "two_step": Axis("two-step, terms of the first", "int >= 1", "strategy", "two_step.terms"),
    "recall": Axis("approximate, recall", "float > 0 and <= 1", "strategy", "approximate.recall"),
}
"""The axes by the names that ``tradeoffs.grid`` has for them, in the order of tables and figures."""
GRID: dict[str, list[Any]] = {
    "prune_top_terms": [128, 64, 32, 16],
    "prune_min_weight": [0.1, 0.2, 0.4],
    "prune_term_quantile": [0.1, 0.25, 0.5],
    "prune_mass": [0.95, 0.9, 0.8, 0.6],
    "weight_bits": [16, 8],
    "query_top_terms": [32, 16, 8],
    "query_mass": [0.95, 0.9, 0.8, 0.6],
    "two_step": [16, 8],
    "recall": [0.99, 0.95, 0.9],
}
"""The grid where none is named, for models with some hundred terms per document."""


class Point(NamedTuple):
    """The values that a point of a grid has on some axes; it is as configured on the others."""

    values: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """As it is printed: ``prune_mass=0.9 query_top_terms=8``, or ``baseline``."""
        return " ".join(f"{axis}={value}" for axis, value in self.values) or BASELINE

    @property
    def folder(self) -> str:
        """The name of its folder: letters, digits, points and underscores."""
        return re.sub(r"[^\w.+-]+", "__", self.name.replace("=", "_"))

    def layout(self) -> dict[str, Any]:
        """The choices of `splade.indexing.format.choices.Layout` that it makes."""
        return self._of("layout")

    def queries(self) -> dict[str, Any]:
        """The settings of the ``search`` node that prune queries."""
        return self._of("queries")

    def strategy(self) -> tuple[str, dict[str, Any]] | None:
        """The strategy and its options; None where it is as configured."""
        for named, value in self._of("strategy").items():
            strategy, _, option = named.partition(".")
            return strategy, {option: value}
        return None

    def _of(self, part: str) -> dict[str, Any]:
        found = {AXES[axis].argument: value for axis, value in self.values if AXES[axis].part == part}
        return found | ({"weights": WEIGHTS[int(found["weights"])]} if "weights" in found else {})


def points_of(grid: Mapping[str, Sequence[Any]], mode: str = "each") -> list[Point]:
    """The points of ``grid``, which has the values of each axis by its name; the baseline comes first.

    In mode "each" a point has one value of one axis. In mode "product" it has a value of every axis, or is as
    configured where that axis has None. ValueError for an unknown mode, and where a point would have two strategies.
    """
    if mode == "each":
        found = [Point(((axis, value),)) for axis in _ordered(grid) for value in grid[axis] if value is not None]
        return list(dict.fromkeys([Point(), *found]))
    if mode != "product":
        raise ValueError(f"mode={mode}: accepted are each, product")
    strategies = [axis for axis in grid if AXES[axis].part == "strategy" and any(v is not None for v in grid[axis])]
    if len(strategies) > 1:
        raise ValueError(
            f"mode=product: {' and '.join(strategies)} are strategies, and a search has one. Leave one of them out, "
            "or set mode=each"
        )
    axes = _ordered(grid)
    combined = itertools.product(*(grid[axis] for axis in axes))
    chosen = [[(axis, value) for axis, value in zip(axes, values, strict=True)] for values in combined]
    found = [Point(tuple((axis, value) for axis, value in pairs if value is not None)) for pairs in chosen]
    return list(dict.fromkeys([Point(), *found]))


def along(axis: str, points: Sequence[Point]) -> list[int]:
    """The numbers of the baseline and of the points that change this axis alone, from the gentlest value on."""
    own = [(point.values[0][1], n) for n, point in enumerate(points) if [name for name, _ in point.values] == [axis]]
    start = [n for n, point in enumerate(points) if not point.values]
    return [*start, *(n for _, n in sorted(own, reverse=not AXES[axis].rises))]


def _ordered(grid: Mapping[str, Sequence[Any]]) -> list[str]:
    return [axis for axis in AXES if axis in grid]
