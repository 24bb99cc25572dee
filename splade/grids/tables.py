"""The outcome of a grid on one query set: the rows of its table, as JSON and as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from splade.comparing.pareto import pareto_front
from splade.grids.points import AXES, Point
from splade.results import Result

MIB = 1 << 20


class SetOutcome(NamedTuple):
    """Points of a grid, the baseline first, with the results that they have on one query set."""

    name: str
    metric: str  # that differences and fronts are about
    points: list[Point]
    results: list[Result]

    def values(self) -> list[float]:
        """The metric of each point."""
        return [result.metrics[self.metric] for result in self.results]

    def disk_bytes(self) -> list[int]:
        """The bytes on the disk of each point's index."""
        return [int(result.fact("tradeoffs.disk_bytes")) for result in self.results]

    def milliseconds(self) -> list[float]:
        """The mean time of a query at each point, on the scale of the baseline.

        Points are measured together with the baseline. For those that were added in a later run, the time is the
        baseline's first one by the ratio that was measured then.
        """
        first = self.results[0].latency_ms() or 0.0
        return [first * self.ratio(result) for result in self.results]

    def ratio(self, result: Result) -> float:
        """The time of a point by that of the baseline in the same rounds."""
        return float(result.fact("tradeoffs.time_ratio"))

    def fronts(self) -> dict[str, list[int]]:
        """The numbers of the points on the Pareto front of the metric by ``bytes`` and by ``ms``."""
        return {
            "bytes": pareto_front(list(zip(self.disk_bytes(), self.values(), strict=True))),
            "ms": pareto_front(list(zip(self.milliseconds(), self.values(), strict=True))),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Each point as JSON holds it."""
        values, times, fronts = self.values(), self.milliseconds(), self.fronts()
        return [
            {
                "point": point.name,
                "values": dict(point.values),
                "folder": str(result.folder),
                "metrics": result.metrics,
                "difference": values[number] - values[0],
                "disk_bytes": self.disk_bytes()[number],
                "postings": result.fact("search_stats.index.n_postings"),
                "flops": result.flops,
                "ms": times[number],
                "time_ratio": self.ratio(result),
                "latency_ms": result.fact("search_stats.latency_ms"),
                "L0_q": result.fact("q_stats.L0_q"),
                "overlap_10": result.fact("tradeoffs.overlap_10"),
                "on_front": {cost: number in front for cost, front in fronts.items()},
            }
            for number, (point, result) in enumerate(zip(self.points, self.results, strict=True))
        ]


def markdown(outcomes: Sequence[SetOutcome], settings: str) -> str:
    """A table for each query set, with a note on how it was measured."""
    lines = ["# Trade-offs", "", settings, ""]
    for outcome in outcomes:
        lines += [f"## {outcome.name}: {outcome.metric}", "", *_table(outcome), ""]
    lines += [
        "Differences are to the baseline. *bytes* are the index on the disk, *postings* those in it, *FLOPS* the "
        "expected postings that a query and a document share. *ms* is the mean over queries of each query's median "
        "over the passes. *same top 10* is the share of the baseline's ten best documents that are among the ten best. "
        "**b** and **t**: no other point is as good with fewer bytes, or in less time.",
        "",
    ]
    return "\n".join(lines)


def _table(outcome: SetOutcome) -> Iterator[str]:
    titles = ("point", outcome.metric, "difference", "bytes", "of baseline", "postings", "FLOPS", "ms", "of baseline")
    yield f"| {' | '.join((*titles, 'same top 10', 'front'))} |"
    yield "|---|" + "---:|" * 9 + "---|"
    rows = outcome.rows()
    for row in rows:
        value, difference = row["metrics"][outcome.metric], row["difference"]
        marks = " ".join(f"**{mark}**" for mark, cost in (("b", "bytes"), ("t", "ms")) if row["on_front"][cost])
        shown = [
            titled(row["values"]),
            f"{value:.4f}",
            f"{difference:+.4f}" if row["values"] else "",
            _bytes(row["disk_bytes"]),
            f"{row['disk_bytes'] / rows[0]['disk_bytes']:.0%}",
            f"{row['postings']:,}",
            f"{row['flops']:.3f}",
            f"{row['ms']:.3f}",
            f"{row['time_ratio']:.2f}",
            f"{row['overlap_10']:.3f}",
            marks,
        ]
        yield f"| {' | '.join(shown)} |"


def _bytes(n: int) -> str:
    return f"{n / MIB:.2f} MiB" if n >= MIB else f"{n / 1024:.1f} KiB"


def titled(values: dict[str, Any]) -> str:
    """The values of a point under the titles of their axes."""
    return ", ".join(f"{AXES[axis].title} {value}" for axis, value in values.items()) or "baseline"
