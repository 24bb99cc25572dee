"""Measuring a grid: indexes built, queries searched and evaluated, all points timed together, results written."""

import json
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.engines.inverted import Inverted, OpenedInverted
from splade.engines.protocol import Queries
from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.measured import measured
from splade.evaluation.report import stored_facts
from splade.evaluation.runs import read_run
from splade.files import read_json, write_json
from splade.grids.indexes import Indexes, disk_bytes
from splade.grids.passes import Passes
from splade.grids.points import Point
from splade.grids.tables import SetOutcome
from splade.indexing.format.choices import Layout
from splade.progress import progress
from splade.records import Qrels, Run
from splade.results import is_result, read_result, write_result

logger = logging.getLogger(__name__)


class VectorSource(NamedTuple):
    """Documents and query sets as vectors over the same terms, wherever they come from."""

    about: dict[str, Any]
    """Tells these documents from others, as JSON holds it."""
    open: Callable[[], OpenedInverted]
    """Open the index that holds the documents, whole unless it is the user's own; it is made if it is not there."""
    about_queries: Callable[[int], dict[str, Any]]
    """Tells the queries of a set, by its number, from others."""
    queries: Callable[[OpenedInverted, int], Queries]
    """The queries of a set, in the terms of that index."""


class JudgedSet(NamedTuple):
    """A query set that is evaluated: its number in the source, its qrels and metrics, the one of its table first."""

    name: str
    number: int
    source: str  # of the qrels
    qrels: Qrels
    metrics: tuple[str, ...]
    metric: str


class Searching(NamedTuple):
    """The way in which queries are searched, but for what points change of it."""

    settings: dict[str, Any]  # of the ``search`` node
    conventions: Conventions
    answer: Callable[[OpenedInverted, Queries, Path, dict[str, Any]], Any]
    """Search queries and write the run into a folder, with these settings changed."""
    pruned: Callable[[Queries, Mapping[str, Any]], Queries]
    """The queries with the terms that such settings keep."""


class Grid:
    """The points of a grid on some query sets, with their results in ``out_dir``.

    ``engine`` has the layout and the strategy of the baseline, ``repeats`` is the number of passes.
    """

    def __init__(
        self,
        points: Sequence[Point],
        sets: Sequence[JudgedSet],
        source: VectorSource,
        engine: Inverted,
        searching: Searching,
        repeats: int,
        out_dir: Path,
    ) -> None:
        self.points, self.sets, self.source = list(points), list(sets), source
        self.engine, self.searching, self.repeats, self.out_dir = engine, searching, repeats, out_dir
        self._searchers: dict[Point, OpenedInverted] = {}

    def folder(self, point: Point, one: JudgedSet) -> Path:
        """The result folder of a point on a set."""
        return self.out_dir / "points" / point.folder / one.name

    def identity(self, point: Point, one: JudgedSet) -> dict[str, Any]:
        """Describe what the result of a point depends on, as JSON gives it back."""
        told = {
            "point": dict(point.values),
            "documents": self.source.about,
            "queries": self._about_queries[one.name],
            "qrels": zlib.crc32(json.dumps(one.qrels, sort_keys=True).encode()),
            "metrics": one.metrics,
            "layout": Layout(**self.engine.layout).identity,
            "strategy": [self.engine.strategy, self.engine.options],
            "search": self.searching.settings,
            "conventions": self.searching.conventions,
            "repeats": self.repeats,
        }
        plain: dict[str, Any] = json.loads(json.dumps(told, default=str))
        return plain

    @cached_property
    def _about_queries(self) -> dict[str, Any]:
        return {one.name: self.source.about_queries(one.number) for one in self.sets}

    def measure(self) -> None:
        """Make the results that are not there; nothing is opened where all are.

        Points are searched one by one, then timed together with the baseline. Their indexes are dropped at the end.
        """
        left = {one.name: [point for point in self.points if not self._is_done(point, one)] for one in self.sets}
        wanted = [point for point in self.points if any(point in points for points in left.values())]
        if not wanted:
            logger.info("%s: all %d points are there", self.out_dir, len(self.points))
            return
        opened, sets = self.source.open(), [one for one in self.sets if left[one.name]]
        indexes = Indexes(opened.index, {"of": self.source.about}, self.out_dir / "indexes", self.engine.memory_mb)
        queries = [self.source.queries(opened, one.number) for one in sets]
        for point in progress(list(dict.fromkeys([Point(), *wanted])), desc="points", unit="point"):
            self._searchers[point] = self._opened(point, indexes)
            for one, asked in zip(sets, queries, strict=True):
                if not self._is_answered(point, one):
                    self._answer(point, one, asked)
        for one, asked in zip(sets, queries, strict=True):
            self._time(left[one.name], one, asked)
        self._searchers.clear()
        indexes.drop()

    def outcomes(self) -> list[SetOutcome]:
        """The results of all points, by set; InputError where one is missing."""
        return [
            SetOutcome(one.name, one.metric, self.points, [read_result(self.folder(p, one)) for p in self.points])
            for one in self.sets
        ]

    def _is_done(self, point: Point, one: JudgedSet) -> bool:
        return is_result(self.folder(point, one)) and self._is_answered(point, one)

    def _is_answered(self, point: Point, one: JudgedSet) -> bool:
        """True where the folder has the run of this point."""
        about = self.folder(point, one) / "point.json"
        return about.is_file() and read_json(about) == self.identity(point, one)

    def _opened(self, point: Point, indexes: Indexes) -> OpenedInverted:
        strategy, options = point.strategy() or (self.engine.strategy, self.engine.options)
        return OpenedInverted(indexes.at(self.engine.layout | point.layout()), strategy, **options)

    def _answer(self, point: Point, one: JudgedSet, queries: Queries) -> None:
        folder = self.folder(point, one)
        for name in ("perf.json", "point.json"):
            (folder / name).unlink(missing_ok=True)
        self.searching.answer(self._searchers[point], queries, folder, point.queries())
        write_json(folder / "point.json", self.identity(point, one))

    def _time(self, points: Sequence[Point], one: JudgedSet, queries: Queries) -> None:
        """Time ``points`` together with the baseline, and write their results."""
        together = list(dict.fromkeys([Point(), *points]))
        session = [self.identity(point, one) for point in together]
        passes = Passes(self.out_dir / "passes" / one.name, session, self.repeats)
        seconds = passes.measure([self._search(point, queries) for point in together])
        for point, own in zip(together, seconds, strict=True):
            if point in points:
                self._finish(point, one, own, seconds[0])
        passes.drop()

    def _search(self, point: Point, queries: Queries) -> Callable[[], list[float]]:
        """A pass over all queries at a point, which returns the seconds of each."""
        settings, opened = self.searching.settings | point.queries(), self._searchers[point]
        asked, depth = self.searching.pruned(queries, settings), min(settings["top_k"], max(opened.n_docs, 1))
        how = {name: settings[name] for name in ("n_threads", "threshold")}

        def once() -> list[float]:
            seconds: list[float] = []
            for _ in opened.search(asked, depth, seconds=seconds, **how):
                pass
            return seconds

        return once

    def _finish(
        self, point: Point, one: JudgedSet, seconds: NDArray[np.float64], of_baseline: NDArray[np.float64]
    ) -> None:
        """Write the result of a point, whose run is there; ``seconds`` of each query, float64 [Q]."""
        folder, index = self.folder(point, one), self._searchers[point].index
        run, first = read_run(folder / "run.json"), read_run(self.folder(Point(), one) / "run.json")
        stats = read_json(folder / "stats" / "search_stats.json")
        latency = latency_summary(seconds.tolist(), n_threads=self.searching.settings["n_threads"])
        stats["latency_ms"] = latency | {"repeats": self.repeats, "measured": "median over interleaved passes"}
        write_json(folder / "stats" / "search_stats.json", stats)
        facts = stored_facts(folder)
        dropped = facts.pop("dropped", {}).get("queries", [])
        kept = SelfMatches("off", one.name)  # the run has lost its own already
        found = measured(run, one.qrels, one.metrics, self.searching.conventions, kept, dropped_before=dropped)
        details = {
            "system": point.name,
            "dataset": one.name,
            "qrels": one.source,
            **found.details,
            "tradeoffs": {
                "point": dict(point.values),
                "disk_bytes": disk_bytes(index),
                "time_ratio": float(seconds.mean() / of_baseline.mean()),
                "overlap_10": overlap(run, first, 10),
            },
        }
        write_result(folder, found.metrics, details | facts, found.per_query)


def overlap(run: Run, other: Run, k: int) -> float:
    """The mean share of the ``k`` best documents of ``other`` that are among the ``k`` best of ``run``; 1 for none."""
    shares = []
    for query_id, found in other.items():
        if best := set(list(found)[:k]):
            shares.append(len(best & set(list(run.get(query_id, {}))[:k])) / len(best))
    return float(np.mean(shares)) if shares else 1.0
