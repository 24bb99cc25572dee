"""The comparison: every engine on every query set and k."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.search.building import LeftOutError, built, installed
from benchmarks.search.contestants import engines, in_batches
from benchmarks.search.engine import Engine
from benchmarks.search.timing import exact_scores, in_turn, median, recall, settings_of_machine, truth_of
from benchmarks.search.vectors import Collection

Built = tuple[Path, dict[str, Any]]  # where an index is, and what building it took


class Choices(NamedTuple):
    """What is run."""

    queries: int  # of each set
    sets: list[str]  # none means all
    k: list[int]
    threads: list[int]  # of batches; none means no batches
    batch: int  # queries in one
    engines: list[str]  # only those whose name contains one of these
    rounds: int
    build_threads: int
    rebuild: list[str]  # indexes whose name contains one of these are built again
    in_order: bool


def compare(collection: Collection, choices: Choices) -> dict[str, Any]:
    """Build what is not built, open everything, search in turn: queries on one thread, then batches on several."""
    notes: dict[str, dict[str, Any]] = {}
    n_docs = collection.vectors.n_docs
    single = _ready(engines(n_docs, in_order=choices.in_order), collection, choices, notes)
    rows = _measure(single, collection, choices, choices.queries)
    several = [engine for n in choices.threads for engine in in_batches(n_docs, n, in_order=choices.in_order)]
    batches = _measure(_ready(several, collection, choices, notes), collection, choices, choices.batch)
    setting = {
        "collection": collection.folder.name,
        "docs": n_docs,
        "postings": collection.vectors.n_postings,
        **choices._asdict(),
        "versions": {engine.package: installed(engine) for engine in single},
        **settings_of_machine(),
    }
    return {"setting": setting, "built": list(notes.values()), "searches": rows, "batches": batches}


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


def _ready(
    candidates: list[Engine], collection: Collection, choices: Choices, notes: dict[str, dict[str, Any]]
) -> list[Engine]:
    """Those that are wanted and could be built and opened; ``notes`` takes the figures of their indexes."""
    done, ready = build_all(candidates, collection, choices), []
    for engine in _wanted(candidates, collection, choices):
        if engine.index not in done:
            continue
        folder, figures = done[engine.index]
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


def _measure(ready: list[Engine], collection: Collection, choices: Choices, n_queries: int) -> list[dict[str, Any]]:
    try:
        names = choices.sets or list(collection.queries)
        return [row for name in names for row in _rows(collection, name, ready, choices, n_queries)] if ready else []
    finally:
        for engine in ready:
            engine.close()


def _rows(
    collection: Collection, name: str, ready: list[Engine], choices: Choices, n_queries: int
) -> list[dict[str, Any]]:
    queries, documents = collection.queries[name][:n_queries], collection.vectors.mapped()
    scores = exact_scores(collection.vectors, queries, max(choices.k), collection.folder / "exact")
    rows = []
    for k in choices.k:
        spent, answers = in_turn(ready, queries, k, choices.rounds)
        for engine in ready:
            row = {
                "engine": engine.name,
                "threads": engine.threads,
                "queries": name,
                "k": k,
                "ms": median(spent[engine]),
                "rounds_ms": spent[engine],
                "recall": recall(answers[engine], queries, documents, truth_of(scores, k)),
            }
            rows.append(row)
            threads = f", a batch on {engine.threads}" if engine.threads else ""
            print(f"{name} k={k} {engine.name}{threads}: {row['ms']:.3f} ms, recall {row['recall']:.4f}", flush=True)
    return rows
