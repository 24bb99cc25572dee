"""What is asked of search on real vectors: a verdict for each target and k of one comparison."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.search.tables import ALLOWANCE, OURS, bytes_per_posting, strategy_times
from benchmarks.search.tables import fastest as fastest_row
from benchmarks.search.verdicts import EXACT, MissingError, Result, Verdict, exact, ratios

PEERS = {"splade-index": 3.0, "SINDI": 3.0, "PISA": 8.0, "BMP": 5.0}  # their fastest setting over ours
SHARED, TWO_THREADS, BATCH_K = 2.0, 1.9, 1000
HELD, OVER_EXACT, OVER_SEISMIC = 0.98, 2.0, 2.5
SHORT = 0.01  # below the recall asked for, at most
BEHIND = 1.03  # the better of its two, at most; and the version before
BYTES = 3.5


def targets(result: Result) -> Iterator[Verdict]:
    """All of them; those whose figures are not there say what is missing."""
    places = list(dict.fromkeys((row["queries"], row["k"]) for row in result["searches"]))
    checks: list[tuple[str, Callable[[], Verdict]]] = []
    for queries, k in places:
        name = f"exact, {queries}, k = {k}"
        checks.append((name, lambda q=queries, k=k, n=name: ratios(result, n, q, k, PEERS)))
    for queries in dict.fromkeys(queries for queries, _ in places):
        checks.append((f"batches, {queries}", lambda q=queries: shared(result, q)))
        checks.append((f"two threads, {queries}", lambda q=queries: two_threads(result, q)))
    for queries, k in places:
        checks.append((f"approximate, {queries}, k = {k}", lambda q=queries, k=k: over_exact(result, q, k)))
        checks.append((f"Seismic, {queries}, k = {k}", lambda q=queries, k=k: over_seismic(result, q, k)))
        checks.append((f"Seismic at our bytes, {queries}, k = {k}", lambda q=queries, k=k: at_our_bytes(result, q, k)))
    checks += [
        ("promise", lambda: promise(result)),
        ("auto", lambda: planned(result)),
        ("bytes", lambda: small(result)),
        ("before", lambda: before(result)),
    ]
    for name, check in checks:
        try:
            yield check()
        except MissingError as missing:
            yield Verdict(name, f"not measured: {missing}", None)


def shared(result: Result, queries: str) -> Verdict:
    """A batch on one thread against the same queries each alone, by the clock on the wall."""
    alone = batch_ms(result, queries, 1, f"{EXACT} each alone")
    together, n_queries = batch_ms(result, queries, 1, EXACT), result["setting"]["batch"]
    said = f"{together:.3f} ms a query, each alone {alone:.3f}: {alone / together:.2f}×"
    target = f"exact, {queries}, batch of {n_queries:,}, one thread, k = {BATCH_K}: {SHARED:g}× each alone"
    return Verdict(target, said, alone / together >= SHARED, alone / together / SHARED)


def two_threads(result: Result, queries: str) -> Verdict:
    """A batch on two threads against one."""
    one, two = (batch_ms(result, queries, n, EXACT) for n in (1, 2))
    target = f"exact, {queries}, batch, two threads, k = {BATCH_K}: {TWO_THREADS:g}× one"
    return Verdict(target, f"{two:.3f} ms a query: {one / two:.2f}×", one / two >= TWO_THREADS, one / two / TWO_THREADS)


def batch_ms(result: Result, queries: str, threads: int, engine: str) -> float:
    """Milliseconds a query of one row of the batches."""
    for row in result["batches"]:
        if (row["queries"], row["k"], row["threads"], row["engine"]) == (queries, BATCH_K, threads, engine):
            return float(row["ms"])
    raise MissingError(f"{engine}, a batch of {queries} on {threads}, k = {BATCH_K}")


def over_exact(result: Result, queries: str, k: int) -> Verdict:
    """Our fastest approximate search at the recall against our exact search; how much exact search touches is told."""
    rows = _rows(result, queries, k)
    found = fastest_row((row for row in rows if row["engine"].startswith("splade approximate")), HELD)
    if found is None:
        raise MissingError(f"approximate search of {queries}, k = {k}, at recall {HELD}")
    ours = exact(result, queries, k)
    share = next((row["postings"] for row in rows if row["engine"] == EXACT and row["postings"] is not None), None)
    said = f"{found['ms']:.3f} ms ({found['recall']:.3f}), exact {ours:.3f}: {ours / found['ms']:.2f}×"
    said += "" if share is None else f"; exact touches {100 * share:.0f} % of the postings"
    target = f"approximate, {queries}, k = {k}, recall ≥ {HELD:g}: {OVER_EXACT:g}× exact"
    return Verdict(target, said, ours / found["ms"] >= OVER_EXACT, ours / found["ms"] / OVER_EXACT)


def over_seismic(result: Result, queries: str, k: int) -> Verdict:
    """Our fastest search at the recall against Seismic's."""
    rows = _rows(result, queries, k)
    ours, peers = fastest_row((row for row in rows if row["engine"].startswith(OURS)), HELD), _seismic(rows)
    if ours is None or not peers:
        raise MissingError(f"Seismic on {queries}, k = {k}")
    return _over(f"{queries}, k = {k}, recall ≥ {HELD:g}", ours, peers)


def at_our_bytes(result: Result, queries: str, k: int) -> Verdict:
    """The same for each of our indexes, against Seismic's indexes of no more bytes: where we are the least ahead."""
    rows, size = _rows(result, queries, k), bytes_per_posting(result["built"])
    found = []
    for index in {row["index"] for row in rows if row["engine"].startswith(OURS) and row["index"] in size}:
        mine = (row for row in rows if row["index"] == index and row["engine"].startswith(OURS))
        ours, most = fastest_row(mine, HELD), size[index] * ALLOWANCE
        peers = [row for row in _seismic(rows) if size[row["index"]] <= most]
        if ours is not None and peers:
            found.append(_over(f"{queries}, k = {k}, recall ≥ {HELD:g}, at our {size[index]:.1f} bytes", ours, peers))
    if not found:
        raise MissingError(f"an index of Seismic of at most our bytes, on {queries}, k = {k}")
    return min(found, key=lambda verdict: verdict.reached or 0.0)


def _over(name: str, ours: dict[str, Any], peers: list[dict[str, Any]]) -> Verdict:
    """Ours against the fastest peer of the recall; or against the one that finds the most, which decides less."""
    found, target = fastest_row(peers, HELD), f"{name}: Seismic {OVER_SEISMIC:g}×"
    best = found or max(peers, key=lambda row: (row["recall"], -row["ms"]))
    ratio = best["ms"] / ours["ms"]
    if found is not None:
        said = f"{ours['ms']:.3f} and {found['ms']:.3f} ms: {ratio:.2f}×"
        return Verdict(target, said, ratio >= OVER_SEISMIC, ratio / OVER_SEISMIC)
    said = f"{ours['ms']:.3f} ms; Seismic reaches {best['recall']:.3f} at most, in {best['ms']:.3f} ms"
    return Verdict(target, said, ratio >= OVER_SEISMIC or None, ratio / OVER_SEISMIC)


def _seismic(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["engine"].startswith("Seismic")]


def promise(result: Result) -> Verdict:
    """The cell of the approximate strategies that is furthest below the recall asked for."""
    asked = "splade approximate recall="
    rows = [row for row in result["searches"] if row["engine"].startswith(asked)]
    if not rows:
        raise MissingError("approximate search")
    lacking = [(float(row["engine"].removeprefix(asked)) - row["recall"], row) for row in rows]
    most, worst = max(lacking, key=lambda pair: pair[0])
    said = f"at worst {worst['recall']:.4f} ({worst['engine']}, {worst['queries']}, k = {worst['k']})"
    calibrated = result["setting"].get("calibrated", "documents as queries")
    return Verdict(f"approximate: the recall asked − {SHORT:g}, calibrated on {calibrated}", said, most <= SHORT)


def planned(result: Result) -> Verdict:
    """The cell where `auto` is furthest behind the better of its two."""
    times = strategy_times(result.get("strategies", []))
    if not times:
        raise MissingError("our strategies beside each other")
    behind = {place: own["auto"] / min(own["exhaustive"], own["block_max"]) for place, own in times.items()}
    queries, k = max(behind, key=lambda place: behind[place])
    worst = behind[queries, k]
    said = f"at worst {100 * (worst - 1):+.1f} % ({queries}, k = {k})"
    return Verdict("auto: at most 3 % behind the better of its two", said, worst <= BEHIND)


def small(result: Result) -> Verdict:
    """Our smallest index: its bytes, and its exact search beside that of the largest."""
    size = {name: each for name, each in bytes_per_posting(result["built"]).items() if name.startswith("splade")}
    if not size:
        raise MissingError("our indexes")
    name = min(size, key=lambda index: size[index])
    autos = [
        row for row in result["searches"] if row["engine"] in (EXACT, f"splade {name.removeprefix('splade-')} auto")
    ]
    ours = {(row["queries"], row["k"]): row["ms"] for row in autos if row["index"] == name}
    others = {(row["queries"], row["k"]): row["ms"] for row in autos if row["index"] != name}
    slower = max((ours[place] / others[place] for place in ours.keys() & others.keys()), default=None)
    said = f"{name} {size[name]:.2f}" + ("" if slower is None else f", at worst {slower:.2f}× the time")
    met = size[name] <= BYTES and (slower is None or slower <= BEHIND)
    return Verdict(f"bytes per posting: ≤ {BYTES:g}, no slower", said, met, BYTES / size[name])


def before(result: Result) -> Verdict:
    """The cell where this version is furthest behind an older one."""
    rows = result.get("before", [])
    if not rows:
        raise MissingError("an older version (--before)")
    worst = max(rows, key=lambda row: float(row["ratio"]))
    said = f"at worst {100 * (worst['ratio'] - 1):+.1f} % ({worst['engine']}, {worst['queries']}, k = {worst['k']})"
    return Verdict("no cell more than 3 % slower than before", said, worst["ratio"] <= BEHIND)


def _rows(result: Result, queries: str, k: int) -> list[dict[str, Any]]:
    return [row for row in result["searches"] if (row["queries"], row["k"]) == (queries, k)]
