"""The comparison: every engine on every query set and k."""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.search.building import LeftOutError, built, installed
from benchmarks.search.contestants import EXACT, approximate, exact, in_batches
from benchmarks.search.engine import Engine
from benchmarks.search.older import TREE, Older, pairs
from benchmarks.search.ours import Ours
from benchmarks.search.timing import exact_scores, in_turn, median, recall, settings_of_machine, touched_by, truth_of
from benchmarks.search.vectors import Collection

Built = tuple[Path, dict[str, Any]]  # where an index is, and what building it took
Row = dict[str, Any]


class Choices(NamedTuple):
    """The settings of a run."""

    queries: int  # of each set
    sets: list[str]  # none means all
    k: list[int]
    threads: list[int]  # of batches; none means no batches
    batch: int  # queries in one
    batch_k: list[int]
    engines: list[str]  # only those whose name contains one of these
    rounds: int
    auto_rounds: int  # of our exact strategies beside each other; 0 leaves them out
    build_threads: int
    rebuild: list[str]  # indexes whose name contains one of these are built again
    in_order: bool


def compare(collection: Collection, choices: Choices) -> dict[str, Any]:
    """Build what is not built; search in turn: exact engines, approximate ones, our strategies, batches."""
    notes: dict[str, Row] = {}
    versions: dict[str, str] = {}
    n_docs, alone = collection.vectors.n_docs, choices.queries
    kinds = {
        "exact": exact(in_order=choices.in_order),
        "approximate": approximate(n_docs, in_order=choices.in_order),
    }
    searches: list[Row] = []
    for kind, candidates in kinds.items():
        ready = _ready(candidates, collection, choices, notes)
        versions |= {engine.package: installed(engine) for engine in ready}
        searches += [row | {"kind": kind} for row in _measure(ready, collection, choices, alone, choices.k)]
    own = [Ours(strategy, cluster=False if choices.in_order else None) for strategy in EXACT]
    steady = choices._replace(rounds=choices.auto_rounds)
    ready = _ready(own, collection, choices, notes) if choices.auto_rounds else []
    strategies = _measure(ready, collection, steady, alone, choices.k)
    older = _before(collection, steady, notes) if TREE in os.environ and choices.auto_rounds else []
    several = [engine for n in choices.threads for engine in in_batches(n_docs, n, in_order=choices.in_order)]
    ready = _ready(several, collection, choices, notes)
    batches = _measure(ready, collection, choices, choices.batch, choices.batch_k)
    setting = {
        "collection": collection.folder.name,
        "docs": n_docs,
        "postings": collection.vectors.n_postings,
        "calibrated": collection.calibrated,
        **choices._asdict(),
        "versions": versions,
        **settings_of_machine(),
    }
    parts = {"searches": searches, "strategies": strategies, "before": older, "batches": batches}
    return {"setting": setting, "built": list(notes.values()), **parts}


def _before(collection: Collection, choices: Choices, notes: dict[str, Row]) -> list[Row]:
    """Our exact searches in turn with those of an older version: ``ms``, ``before_ms``, and the first over the second.

    The ratio is the median of the rounds' ratios.
    """
    choices = choices._replace(engines=[""])
    ready = _ready([kind(**way) for way in pairs() for kind in (Ours, Older)], collection, choices, notes)
    rows = _measure(ready, collection, choices, choices.queries, choices.k)
    found = []
    for now, then in zip(rows[::2], rows[1::2], strict=True):
        assert now["engine"] == then["engine"]
        ratio = median([a / b for a, b in zip(now["rounds_ms"], then["rounds_ms"], strict=False)])
        found.append(now | {"before_ms": then["ms"], "ratio": ratio})
    return found


def forget(collection: Collection, choices: Choices) -> None:
    """Remove the indexes that are to be built again."""
    for folder in (collection.folder / "indexes").glob("*"):
        if any(part.lower() in folder.name.lower() for part in choices.rebuild):
            shutil.rmtree(folder)


def build_all(candidates: list[Engine], collection: Collection, choices: Choices) -> dict[str, Built]:
    """Build what is wanted and not built yet, one after the other; folder and figures by index, without what failed."""
    done: dict[str, Built] = {}
    for engine in _one_each(_wanted(candidates, collection, choices)):
        there = (collection.folder / "indexes" / engine.index).exists()
        try:
            folder, figures = built(engine, collection.vectors, collection.folder / "indexes", choices.build_threads)
        except LeftOutError as error:
            print(f"left out: {engine.index}: {error}", flush=True)
            continue
        done[engine.index] = folder, figures
        if not there:
            print(f"built: {engine.index} {figures['wall_s']:.1f} s, {figures['bytes'] / 1e6:.0f} MB", flush=True)
    return done


def _one_each(candidates: list[Engine]) -> list[Engine]:
    """The first engine of every index."""
    first: dict[str, Engine] = {}
    for engine in candidates:
        first.setdefault(engine.index, engine)
    return list(first.values())


def _wanted(candidates: list[Engine], collection: Collection, choices: Choices) -> list[Engine]:
    return [
        engine
        for engine in candidates
        if any(part.lower() in engine.name.lower() for part in choices.engines)
        and collection.vectors.n_docs <= engine.largest
    ]


def _ready(candidates: list[Engine], collection: Collection, choices: Choices, notes: dict[str, Row]) -> list[Engine]:
    """Those that are wanted and could be built and opened; ``notes`` takes the figures of their indexes."""
    done, ready = build_all(candidates, collection, choices), []
    for engine in _wanted(candidates, collection, choices):
        if engine.index not in done:
            continue
        folder, figures = done[engine.index]
        if isinstance(engine, Ours):
            engine.calibration = collection.calibration
        try:
            seconds = engine.open(folder)
        except ImportError as error:
            print(f"left out: {engine.name}: {error}", flush=True)
        except (OSError, ValueError) as error:
            print(f"left out: {engine.name}: {error} (an index of another version? --rebuild it)", flush=True)
        else:
            notes.setdefault(engine.index, figures | {"open_s": seconds})
            ready.append(engine)
    return ready


def _measure(ready: list[Engine], collection: Collection, choices: Choices, n_queries: int, ks: list[int]) -> list[Row]:
    try:
        names = choices.sets or list(collection.queries)
        return (
            [row for name in names for k in ks for row in _rows(collection, name, k, ready, choices, n_queries)]
            if ready
            else []
        )
    finally:
        for engine in ready:
            engine.close()


def _rows(
    collection: Collection, name: str, k: int, ready: list[Engine], choices: Choices, n_queries: int
) -> list[Row]:
    queries, checked = collection.queries[name][:n_queries], collection.queries[name][: choices.queries]
    scores = exact_scores(collection.vectors, checked, max(*choices.k, k), collection.folder / "exact")
    truth, documents, turns = (
        truth_of(scores, k),
        collection.vectors.mapped(),
        in_turn(ready, queries, k, choices.rounds),
    )
    mass = collection.vectors.mass(queries)
    rows = []
    for engine in ready:
        row = {
            "engine": engine.name,
            "index": engine.index,
            "exact": engine.exact,
            "threads": engine.threads,
            "queries": name,
            "k": k,
            "n_queries": queries.shape[0],
            "ms": median(turns.spent[engine]),
            "rounds_ms": turns.spent[engine],
            "recall": recall(turns.answers[engine][: checked.shape[0]], checked, documents, truth),
            **(touched_by(engine, queries, k, mass, turns.seconds[engine]) if engine.threads is None else {}),
        }
        rows.append(row)
        threads = f", a batch on {engine.threads}" if engine.threads else ""
        print(f"{name} k={k} {engine.name}{threads}: {row['ms']:.3f} ms, recall {row['recall']:.4f}", flush=True)
    return rows
