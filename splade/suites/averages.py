"""Averages of a suite by their published names, and its table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from splade.suites.catalogue import AVERAGES, COMPOSITES

Metrics = Mapping[str, float]
MEAN = "mean"


class Averages(NamedTuple):
    """Unweighted means over the data sets that each name stands for, and those that lack for others."""

    values: dict[str, dict[str, float]]  # {name: {metric: mean}}
    incomplete: dict[str, list[str]]  # {name: the sets without a result}, of averages that have at least one


def averages_of(results: Mapping[str, Metrics], asked: Sequence[str] = ()) -> Averages:
    """The averages over ``results``, by set. ``asked`` are the data sets of the suite, whose average is ``mean``.

    CQADupStack is one data set, the mean of its forums. An average has the metrics that all of its sets have, and is
    only taken over all of its sets. ``mean`` is of two data sets or more.
    """
    units = with_composites(results)
    wanted = AVERAGES | ({MEAN: tuple(asked)} if len(asked) > 1 else {})
    averages = Averages({}, {})
    for name, members in wanted.items():
        missing = [member for member in members if member not in units]
        if not missing:
            averages.values[name] = mean_of([units[member] for member in members])
        elif len(missing) < len(members):
            averages.incomplete[name] = missing
    return averages


def with_composites(results: Mapping[str, Metrics]) -> dict[str, Metrics]:
    """``results`` and, where all of its parts are among them, each composite."""
    units = dict(results)
    for name, parts in COMPOSITES.items():
        if all(part in results for part in parts):
            units[name] = mean_of([results[part] for part in parts])
    return units


def mean_of(results: Sequence[Metrics]) -> dict[str, float]:
    """The unweighted mean of each metric that all of ``results`` have, in the order of the first."""
    shared = [metric for metric in results[0] if all(metric in one for one in results)]
    return {metric: sum(one[metric] for one in results) / len(results) for metric in shared}


def grid(rows: Mapping[str, Metrics], metrics: Iterable[str] | None = None) -> str:
    """Rows of metrics as aligned text, four digits; a dash where a row lacks one.

    ``metrics`` are the columns; by default all that a row has, in the order of their first appearance.
    """
    columns = list(metrics or dict.fromkeys(metric for row in rows.values() for metric in row))
    name_width = max(map(len, rows), default=0)
    widths = [max(len(column), 6) for column in columns]
    lines = ["  ".join([" " * name_width, *(f"{column:>{w}}" for column, w in zip(columns, widths, strict=True))])]
    for name, row in rows.items():
        cells = [
            f"{row[column]:>{w}.4f}" if column in row else f"{'–':>{w}}"
            for column, w in zip(columns, widths, strict=True)
        ]
        lines.append("  ".join([f"{name:<{name_width}}", *cells]))
    return "\n".join(lines)
