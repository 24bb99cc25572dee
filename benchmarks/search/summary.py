"""The targets of the search engine against what was measured: ``python -m benchmarks.search.summary FOLDER``.

Reads the results that `benchmarks.search` left in FOLDER, of real vectors and of the synthetic collections at any
sizes, and says of each target what was measured, and whether it is met or how far it is. A ratio is a peer's time over
ours.
"""

import argparse
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.search.targets import targets
from benchmarks.search.verdicts import (
    BUILT,
    EXACT,
    LARGE,
    SMALL,
    Check,
    Measured,
    MissingError,
    Result,
    Verdict,
    against,
    exact,
    fastest,
)
from splade.files import read_json, whole_file

SLOWER = 1.2  # than scoring everything, at most
HEAD = ("| target | measured | |", "|---|---|---|")
MILLION = {  # k: what the fastest exact setting of each peer takes over ours
    10: {"PISA": 20.0, "splade-index": 8.0, "BMP": 4.0},
    100: {"PISA": 10.0, "splade-index": 4.0, "BMP": 3.5},
    1000: {"PISA": 6.0, "splade-index": 2.5, "BMP": 6.0},
}


def approximate(queries: str, k: int, recall: float, least: float, measured: Measured) -> Verdict:
    """Our fastest setting that reaches the recall against Seismic's fastest that does."""
    result = measured.at(LARGE)
    target = f"approximate, {queries}, k = {k}, recall ≥ {recall:g}: Seismic {least:g}×"
    ours = fastest(result, queries, k, "splade a", recall)  # approximate, or auto, which is exact
    theirs = fastest(result, queries, k, "Seismic", recall)
    return Verdict(target, f"{ours:.3f} and {theirs:.3f} ms: {theirs / ours:.1f}×", theirs / ours >= least)


def two_threads(measured: Measured) -> Verdict:
    """The wall time of a batch on one thread over that on two."""
    walls = {
        (row["threads"], row["k"]): row["ms"]
        for row in measured.at(LARGE)["batches"]
        if row["engine"] == EXACT and row["queries"] == "pp"
    }
    ratios = {k: walls[1, k] / walls[2, k] for threads, k in walls if threads == 2 and (1, k) in walls}
    if not ratios:
        raise MissingError(f"{EXACT} on two threads")
    said = ", ".join(f"k = {k} {ratio:.2f}×" for k, ratio in ratios.items())
    return Verdict("two threads, a batch of pp queries: 1.9× one", said, min(ratios.values()) >= 1.9)


def _built(result: Result, prefix: str) -> dict[str, Any]:
    found = [note for note in result["built"] if note["engine"].startswith(prefix)]
    if not found:
        raise MissingError(f"the index {prefix}")
    return min(found, key=lambda note: float(note["processor_s"]))


def building(measured: Measured) -> Verdict:
    """Seconds from vectors on disk to an index on disk; peers are compared by the processor's seconds."""
    result = measured.at(LARGE)
    ours, peers = _built(result, BUILT), {name: _built(result, name)["processor_s"] for name in ("Seismic", "Lucene")}
    said = f"{ours['wall_s']:.0f} s on {ours['threads']} threads, {ours['processor_s']:.0f} processor s; "
    said += ", ".join(f"{name} {seconds:.0f}" for name, seconds in peers.items())
    met = ours["wall_s"] < 60 and ours["processor_s"] < min(peers.values())
    return Verdict(f"build, {LARGE:,} vectors: < 60 s on two cores, faster than Seismic and Lucene", said, met)


def size(measured: Measured) -> Verdict:
    """All files of the index."""
    ours = _built(measured.at(LARGE), BUILT)
    per_posting = ours["bytes"] / ours["postings"]
    return Verdict("index on disk: ≤ 8 bytes per posting", f"{per_posting:.1f}", per_posting <= 8)


def opening(measured: Measured) -> Verdict:
    """Without reading every file to compare its checksum."""
    seconds = _built(measured.at(LARGE), BUILT)["open_s"]
    return Verdict("opening a built index: < 1 s", f"{seconds:.3f} s", seconds < 1)


def adversarial(measured: Measured) -> Verdict:
    """The worst case of the planned strategy at any size."""
    rows = [
        row | {"docs": result["setting"]["docs"]} for result in measured.adversarial for row in result["adversarial"]
    ]
    if not rows:
        raise MissingError("adversarial runs")
    worst = max(rows, key=lambda row: float(row["auto_ratio"]))
    said = f"at worst {worst['auto_ratio']:.2f}× ({worst['case']}, k = {worst['k']}, {worst['docs']:,} documents)"
    return Verdict(f"adversarial: at most {SLOWER}× exhaustive", said, worst["auto_ratio"] <= SLOWER)


def growth(measured: Measured) -> Verdict:
    """Exact search at all sizes: time must grow by less than the collection does."""
    times = {docs: exact(result, "pp", 10) for docs, result in sorted(measured.comparisons.items())}
    if len(times) < 2:
        raise MissingError("a second size")
    steps = [(times[b] / times[a], b / a) for a, b in pairwise(times)]
    said = ", ".join(f"{docs:,} {ms:.3f} ms" for docs, ms in times.items())
    said += "; " + ", ".join(f"{slower:.1f}× the time for {larger:g}×" for slower, larger in steps)
    return Verdict("growth, exact, pp, k = 10: sub-linear", said, all(slower < larger for slower, larger in steps))


def checks() -> dict[str, Check]:
    """What is asked of the synthetic collections, by a name for where results are missing."""
    lists = {"PISA maxscore": 12.0, "splade-index": 6.0, "SINDI": 6.0, "numba dict": 19.0}
    at_large = {10: lists, 100: {"PISA": 8.0, "splade-index": 3.5}, 1000: {"PISA": 5.0, "splade-index": 2.3}}
    at_small = {10: 2.0, 100: 1.3, 1000: 1.2}
    asked: dict[str, Check] = {}
    for k, peers in MILLION.items():
        asked[f"exact, {LARGE:,} documents, k = {k}, all peers"] = partial(against, LARGE, "pp", k, peers)
    for k, peers in at_large.items():
        asked[f"exact, {LARGE:,} documents, k = {k}"] = partial(against, LARGE, "pp", k, peers)
    for k, least in at_small.items():
        asked[f"exact, {SMALL:,} documents, k = {k}"] = partial(against, SMALL, "pp", k, {"splade-index": least})
    asked["exact, eff, k = 10"] = partial(against, LARGE, "eff", 10, {"PISA maxscore": 5.0})
    for queries in ("pp", "v3", "eff"):
        for k, recall, least in ((10, 0.98, 1.5), (10, 0.99, 1.5), (100, 0.97, 2.0)):
            name = f"approximate, {queries}, k = {k}, recall ≥ {recall}"
            asked[name] = partial(approximate, queries, k, recall, least)
    functions = (two_threads, building, size, opening, adversarial, growth)
    return asked | {function.__name__.replace("_", " "): function for function in functions}


def verdicts(measured: Measured) -> Iterator[Verdict]:
    """Every target of the synthetic collections; those whose figures are not there say what is missing."""
    for name, check in checks().items():
        try:
            yield check(measured)
        except MissingError as missing:
            yield Verdict(name, f"not measured: {missing}", None)


def written(folder: Path) -> str:
    """The tables of targets of all results in ``folder``, real vectors first, as they go into the README."""
    found = [read_json(path) for path in sorted(folder.glob("search-*.json"))]
    found = [result for result in found if not result["setting"]["in_order"]]
    hard = [read_json(path) for path in sorted(folder.glob("adversarial-*.json"))]
    made = {
        result["setting"]["docs"]: result
        for result in found
        if re.fullmatch(r"synthetic-\d+-\d+", result["setting"]["collection"])
    }
    others = [result for result in found if result["setting"]["collection"] not in _names(made.values())]
    lines: list[str] = []
    for result in others:
        name, docs = result["setting"]["collection"], result["setting"]["docs"]
        lines += [f"**{name}**, {docs:,} documents:", "", *HEAD, *(row.line() for row in targets(result)), ""]
    if made:
        lines += ["**Synthetic collections**:", "", *HEAD, *(row.line() for row in verdicts(Measured(made, hard))), ""]
    flat = {result["setting"]["docs"]: result for result in others if "synthetic" in result["setting"]["collection"]}
    if len(flat) > 1:
        lines += ["**Synthetic collections of flat queries**:", "", *HEAD, growth(Measured(flat, [])).line(), ""]
    return "\n".join(lines) + "\n"


def _names(results: Iterable[Result]) -> set[str]:
    return {result["setting"]["collection"] for result in results}


def write(folder: Path) -> None:
    """Write `written` to ``targets.md`` in ``folder``, and print it."""
    text = written(folder)
    with whole_file(folder / "targets.md") as stream:
        stream.write(text)
    print(text)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
