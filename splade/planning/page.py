"""The table of a plan: a row for each figure, a column for each number of documents, and how sure each is."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from splade.planning.laws import Estimate, Export
from splade.planning.limits import disagreement

BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
BY_INDEXING = "measured by indexing"


class Row(NamedTuple):
    """One figure for each number of documents, in bytes, hours, or a number ("").

    ``apart`` is by how many percent half the sample foresees another.
    """

    name: str
    unit: str
    values: list[float | str | None]
    apart: float | None


FIGURES: dict[str, tuple[str, Callable[[Estimate], float | None]]] = {
    "encoding: shards": ("", lambda plan: plan.shards),
    "encoding: time of all workers together": ("hours", lambda plan: plan.encode_hours),
    "encoding: memory of a worker": ("bytes", lambda plan: plan.encode_memory),
    "encoding: GPU memory of a worker": ("bytes", lambda plan: plan.encode_gpu_memory),
    "encoding: shards on disk": ("bytes", lambda plan: plan.shard_bytes),
    "index: on disk": ("bytes", lambda plan: plan.index_bytes),
    "index: time of the build": ("hours", lambda plan: plan.build_hours),
    "index: memory of the build": ("bytes", lambda plan: plan.build_memory),
    "index: disk during the build": ("bytes", lambda plan: plan.build_disk),
    "index: memory of a search thread, beside the mapped index": ("bytes", lambda plan: plan.search_memory),
}


def rows_of(whole: Sequence[Estimate], half: Sequence[Estimate], engines: Sequence[str] = ()) -> list[Row]:
    """The rows of estimates from the whole sample, compared with those from half of it.

    ``engines`` are others that keep vectors in a form of their own, of a size that only indexing tells.
    """
    rows = []
    for name, (unit, figure) in FIGURES.items():
        values = [figure(plan) for plan in whole]
        if any(value is not None for value in values):
            rows.append(Row(name, unit, list(values), _apart([figure(plan) for plan in half], values)))
    for name in whole[0].targets if whole else ():
        rows += _of_target(name, [plan.targets[name] for plan in whole], [plan.targets[name] for plan in half])
    rows += [Row(f"engine: {name}, its own index", "", [BY_INDEXING] * len(whole), None) for name in engines]
    return rows


def _apart(half: Sequence[float | None], whole: Sequence[float | None]) -> float | None:
    found = [disagreement(pair) for pair in zip(half, whole, strict=True)]
    return max((each for each in found if each is not None), default=None)


def _of_target(name: str, whole: Sequence[Export | str], half: Sequence[Export | str]) -> Iterator[Row]:
    found, smaller = ([each for each in plans if isinstance(each, Export)] for plans in (whole, half))
    if len(found) < len(whole) or len(smaller) < len(half):
        why = next(each for each in (*whole, *half) if isinstance(each, str))
        yield Row(f"export: {name}", "", [f"not measured: {why}"] * len(whole), None)
        return
    sizes, times = [each.n_bytes for each in found], [each.hours for each in found]
    yield Row(f"export: {name}, on disk", "bytes", list(sizes), _apart([each.n_bytes for each in smaller], sizes))
    yield Row(f"export: {name}, time of writing", "hours", list(times), _apart([each.hours for each in smaller], times))


def markdown(
    title: str, documents: Sequence[int], rows: Sequence[Row], told: Sequence[Sequence[str]], tolerance: float
) -> str:
    """The page: a table, the rows that two samples differ on by more than ``tolerance`` percent, and advice."""
    names = [_count(n) for n in documents]
    lines = [title, "", f"| documents | {' | '.join(names)} | samples differ by |", "|---" * (len(names) + 2) + "|"]
    lines += [_line(row, tolerance) for row in rows]
    return "\n".join([*lines, "", *_doubts(rows, tolerance), *_advice(names, told)]) + "\n"


def _line(row: Row, tolerance: float) -> str:
    cells = [
        value if isinstance(value, str) else "–" if value is None else said(value, row.unit) for value in row.values
    ]
    apart = "" if row.apart is None else f"{row.apart:.1f} %"
    mark = " **!**" if row.apart is not None and row.apart > tolerance else ""
    return f"| {row.name} | {' | '.join(cell.replace('|', '/') for cell in cells)} | {apart}{mark} |"


def _doubts(rows: Sequence[Row], tolerance: float) -> Iterator[str]:
    if any(row.apart is not None and row.apart > tolerance for row in rows):
        yield (
            f"**!** Half the sample foresees another value, by more than {tolerance:g} %: such a figure tells the "
            "order of magnitude. Take a larger plan.sample."
        )
    else:
        yield f"Half the sample foresees the same within {tolerance:g} %."
    yield "An export streams: its memory is a batch of documents, whatever their number."
    yield ""


def _advice(names: Sequence[str], told: Sequence[Sequence[str]]) -> Iterator[str]:
    for name, sentences in zip(names, told, strict=True):
        yield f"- {name} documents: {'; '.join(sentences)}."


def said(value: float, unit: str) -> str:
    """A figure with its unit: bytes in the largest binary unit that leaves a whole, hours in days from two days on."""
    if unit == "hours":
        return f"{number(value / 24)} days" if value >= 48 else f"{number(value)} h"
    if unit == "bytes":
        power = next((power for power in range(len(BINARY) - 1) if value < 1 << 10 * (power + 1)), len(BINARY) - 1)
        return f"{number(value / (1 << 10 * power))} {BINARY[power]}"
    return number(value)


def number(value: float) -> str:
    """A figure with three digits, or all digits before the point where there are more."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _count(documents: int) -> str:
    """8.8 M for 8800000."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if documents >= size:
            return f"{documents / size:,.4g} {letter}"
    return str(documents)


def as_json(rows: Sequence[Row], documents: Sequence[int]) -> list[dict[str, Any]]:
    """The rows as JSON holds them: figures by number of documents."""
    return [
        {
            "name": row.name,
            "unit": row.unit,
            "values": dict(zip(map(str, documents), row.values, strict=True)),
            "samples_differ_percent": row.apart,
        }
        for row in rows
    ]
