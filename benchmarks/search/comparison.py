"""The comparison: every engine on every query set and k."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.search.building import LeftOutError, built, installed
from benchmarks.search.contestants import engines
from benchmarks.search.engine import Engine
from benchmarks.search.timing import exact_scores, in_turn, median, recall, settings_of_machine, truth_of
from benchmarks.search.vectors import Collection


class Choices(NamedTuple):
    """What is run."""

    queries: int  # of each set
    sets: list[str]  # none means all
    k: list[int]
    threads: list[int]
    engines: list[str]  # only those whose name contains one of these
    rounds: int
    build_threads: int
    in_order: bool


def compare(collection: Collection, choices: Choices) -> dict[str, Any]:
    """Build what is not built, open everything, search in turn."""
    notes: dict[str, dict[str, Any]] = {}
    n_docs = collection.vectors.n_docs
    wanted = [
        engine
        for n in choices.threads
        for engine in engines(n_docs, n, in_order=choices.in_order)
        if any(part.lower() in engine.name.lower() for part in choices.engines) and n_docs <= engine.largest
    ]
    ready = [engine for engine in wanted if _ready(engine, collection, choices.build_threads, notes)]
    try:
        rows = [row for name in choices.sets or collection.queries for row in _rows(collection, name, ready, choices)]
    finally:
        for engine in ready:
            engine.close()
    setting = {
        "collection": collection.folder.name,
        "docs": n_docs,
        "postings": collection.vectors.n_postings,
        **choices._asdict(),
        "versions": {engine.package: installed(engine) for engine in ready},
        **settings_of_machine(),
    }
    return {"setting": setting, "built": list(notes.values()), "searches": rows}


def build_all(collection: Collection, choices: Choices) -> None:
    """Build what is not built, one after the other."""
    for engine in engines(collection.vectors.n_docs, 1, in_order=choices.in_order):
        if any(part.lower() in engine.name.lower() for part in choices.engines):
            _build(engine, collection, choices.build_threads)


def _build(engine: Engine, collection: Collection, n_threads: int) -> tuple[Path, dict[str, Any]] | None:
    there = (collection.folder / "indexes" / engine.index).exists()
    try:
        folder, figures = built(engine, collection.vectors, collection.folder / "indexes", n_threads)
    except LeftOutError as error:
        print(f"left out: {engine.name}: {error}", flush=True)
        return None
    if not there:
        print(f"built: {engine.index} {figures['wall_s']:.1f} s, {figures['bytes'] / 1e6:.0f} MB", flush=True)
    return folder, figures


def _ready(engine: Engine, collection: Collection, n_threads: int, notes: dict[str, dict[str, Any]]) -> bool:
    found = _build(engine, collection, n_threads)
    if found is None:
        return False
    folder, figures = found
    try:
        seconds = engine.open(folder)
    except (ImportError, OSError) as error:
        print(f"left out: {engine.name}: {error}", flush=True)
        return False
    notes.setdefault(engine.index, figures | {"open_s": seconds})
    return True


def _rows(collection: Collection, name: str, ready: list[Engine], choices: Choices) -> list[dict[str, Any]]:
    queries, documents = collection.queries[name][: choices.queries], collection.vectors.mapped()
    scores = exact_scores(collection.vectors, queries, max(choices.k), collection.folder / "exact")
    rows = []
    for k in choices.k:
        spent, wall, answers = in_turn(ready, queries, k, choices.rounds)
        for engine in ready:
            row = {
                "engine": engine.name,
                "threads": engine.threads,
                "queries": name,
                "k": k,
                "ms": median(spent[engine]),
                "fastest_round_ms": min(spent[engine]),
                "wall_ms": median(wall[engine]),
                "recall": recall(answers[engine], queries, documents, truth_of(scores, k)),
            }
            rows.append(row)
            print(f"{name} k={k} {_title(row)}: {row['ms']:.3f} ms, recall {row['recall']:.4f}", flush=True)
    return rows


def _title(row: dict[str, Any]) -> str:
    return row["engine"] + (f", {row['threads']} threads" if row["threads"] > 1 else "")
