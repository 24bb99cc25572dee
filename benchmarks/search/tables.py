"""The tables of a comparison in Markdown; a ratio is always a peer's time over ours."""

from collections.abc import Callable, Iterable
from typing import Any

Row = dict[str, Any]
NONE = "—"
OURS = "splade "  # begins the names of our engines; splade-index is another's
RECALLS = (0.95, 0.97, 0.98, 0.99)
SWEEP = ("Seismic kept", "SINDI", "BMP")  # settings that were only tried: the best are shown
ENOUGH = 0.9  # recall of these
ALLOWANCE = 1.02  # bytes that count as equal


def searches(rows: list[Row]) -> list[str]:
    """A line per engine; for each k the milliseconds (recall), blocks visited, share of postings, rank correlation.

    Settings that `without_beaten` leaves out have no line.
    """
    ks = list(dict.fromkeys(row["k"] for row in rows))
    heads = [f"k={k} ms (recall) | blocks · postings · ρ" for k in ks]
    lines = table_head(["engine", *heads], 2 * len(ks) + 1)
    for engine, own in _by(without_beaten(rows), "engine").items():
        at = {row["k"]: row for row in own}
        lines.append(_line([engine, *(text for k in ks for text in (cell(at.get(k)), touched(at.get(k))))]))
    return lines


def without_beaten(rows: list[Row]) -> list[Row]:
    """Without settings of a `SWEEP` that find too little at each k, or that one of the same engine beats in both."""
    swept = [row for row in rows if row["engine"].startswith(SWEEP) and not row["exact"]]
    groups = _by(swept, lambda row: (row["engine"].split()[0], row["queries"], row["k"]))
    unbeaten = {
        row["engine"]
        for own in groups.values()
        for row in own
        if row["recall"] >= ENOUGH
        and not any(other["ms"] < row["ms"] and other["recall"] >= row["recall"] for other in own)
    }
    return [row for row in rows if row not in swept or row["engine"] in unbeaten]


def touched(row: Row | None) -> str:
    """``visited/all · share of postings · rank correlation``; a dash for each that is not known."""
    if row is None:
        return NONE
    blocks = NONE if row["blocks"] is None else f"{row['blocks']:,.0f}/{row['all_blocks']:,}"
    postings = NONE if row["postings"] is None else f"{100 * row['postings']:.0f} %"
    correlation = row["rank_correlation"]
    return f"{blocks} · {postings} · {NONE if correlation is None else _short(f'{correlation:.2f}')}"


def strategies(rows: list[Row]) -> list[str]:
    """For each k: `auto` beside `exhaustive` and `block_max`, over the better of both, and what it touches."""
    heads = ["queries", "k", "auto", "exhaustive", "block_max", "auto over the better", "auto: blocks · postings · ρ"]
    lines = table_head(heads, len(heads))
    autos = {(row["queries"], row["k"]): row for row in rows if row["engine"] == f"{OURS}auto"}
    for (queries, k), times in strategy_times(rows).items():
        ratio = times["auto"] / min(times["exhaustive"], times["block_max"])
        shown = [f"{times[name]:.3f}" for name in ("auto", "exhaustive", "block_max")]
        lines.append(_line([queries, str(k), *shown, f"{ratio:.3f}", touched(autos[queries, k])]))
    return lines


def strategy_times(rows: list[Row]) -> dict[tuple[str, int], dict[str, float]]:
    """Milliseconds of each of our strategies, by query set and k, where all three were run."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row["queries"], row["k"]), {})[row["engine"].removeprefix("splade ")] = row["ms"]
    return {place: times for place, times in found.items() if {"auto", "exhaustive", "block_max"} <= times.keys()}


def before(rows: list[Row]) -> list[str]:
    """A line per search of ours; for each k the milliseconds before and now, and now over before."""
    columns = list(_groups(rows))
    cells = {(row["engine"], row["queries"], row["k"]): row for row in rows}
    lines = table_head(["engine", *(f"{name} k={k}" for name, k in columns)], len(columns) + 1)
    for engine in dict.fromkeys(row["engine"] for row in rows):
        own = [cells[(engine, *column)] for column in columns]
        lines.append(
            _line([engine, *(f"{row['before_ms']:.3f} → {row['ms']:.3f} ({row['ratio']:.2f})" for row in own)])
        )
    return lines


def bytes_per_posting(built: list[Row]) -> dict[str, float]:
    """By the name of the index."""
    return {note["engine"]: note["bytes"] / note["postings"] for note in built}


def fastest(rows: Iterable[Row], recall: float = 0.0, most: float = float("inf"), size: Any = None) -> Row | None:
    """The fastest row that reaches the recall, of an index of at most so many bytes per posting by ``size``."""
    found = [
        row for row in rows if row["recall"] >= recall and (size is None or size[row["index"]] <= most * ALLOWANCE)
    ]
    return min(found, key=lambda row: float(row["ms"]), default=None)


def rivals(rows: list[Row], size: dict[str, float]) -> list[str]:
    """Ours beside Seismic at equal recall, and at equal recall and bytes: for each of our indexes, k and recall."""
    heads = ["queries", "k", "recall", "our index (bytes)", "ours ms", "Seismic ms (bytes)", "ratio"]
    lines = table_head([*heads, "Seismic of at most our bytes", "ratio"], len(heads) + 2)
    for place, own in _groups(rows).items():
        peers = [row for row in own if row["engine"].startswith("Seismic")]
        for index, mine in _by([row for row in own if row["engine"].startswith(OURS)], "index").items():
            for recall in RECALLS if peers else ():
                lines.append(_rival(place, recall, index, mine, peers, size))
    return lines


def _rival(place: Any, recall: float, index: str, mine: list[Row], peers: list[Row], size: dict[str, float]) -> str:
    ours = fastest(mine, recall)
    shown = [*map(str, place), _short(f"{recall:g}"), f"{index} ({size[index]:.1f})"]
    shown.append(f"{ours['ms']:.3f}" if ours else NONE)
    for most in (float("inf"), size[index]):
        there = fastest(peers, recall, most, size)
        if there is None:
            best = max(peers, key=lambda row: (size[row["index"]] <= most * ALLOWANCE, row["recall"]))
            within = size[best["index"]] <= most * ALLOWANCE
            reached = _short(f"{best['recall']:.3f}")
            shown += [f"at most {reached}" if within else "no such index", NONE]
            continue
        ratio = f"{there['ms'] / ours['ms']:.2f}×" if ours else NONE
        shown += [f"{there['ms']:.3f} ({size[there['index']]:.1f})", ratio]
    return _line(shown)


def batches(rows: list[Row]) -> list[str]:
    """A line per engine and number of threads: milliseconds, queries a second, and over ours alone on one thread."""
    lines = table_head(["engine", "queries", "k", "ms per query (recall)", "queries/s", "over each alone"], 6)
    for (queries, k), own in _groups(rows).items():
        alone = next((row["ms"] for row in own if row["engine"].endswith("each alone")), None)
        for row in own:
            ratio = f"{alone / row['ms']:.2f}×" if alone and row["engine"].startswith(OURS) else NONE
            lines.append(_line([title(row), queries, str(k), cell(row), f"{1e3 / row['ms']:,.0f}", ratio]))
    return lines


def built(notes: list[Row]) -> list[str]:
    """Indexes: what building took, and bytes."""
    heads = ["index", "threads", "build s", "processor s", "peak MB", "index MB", "bytes/posting", "open s"]
    lines = table_head(heads, len(heads))
    for note in notes:
        times = [f"{note['wall_s']:.1f}", f"{note['processor_s']:.1f}", f"{note['peak_mb']:.0f}"]
        size = [f"{note['bytes'] / 1e6:.0f}", f"{note['bytes'] / note['postings']:.1f}", f"{note['open_s']:.3f}"]
        lines.append(_line([note["engine"], str(note["threads"]), *times, *size]))
    return lines


def cell(row: Row | None) -> str:
    """Milliseconds, and the recall where it is below .9995."""
    if row is None:
        return NONE
    return f"{row['ms']:.3f}" + (f" ({row['recall']:.4f})" if row["recall"] < 0.9995 else "")


def title(row: Row) -> str:
    """The engine, and its threads in a batch."""
    threads = row["threads"]
    return str(row["engine"]) + (f", {threads} thread" + "s" * (threads > 1) if threads else "")


def table_head(heads: list[str], n_columns: int) -> list[str]:
    """The first two lines of a table."""
    return [_line(heads), "|---" * n_columns + "|"]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _short(number: str) -> str:
    """Without the zero before the point."""
    return number.replace("0.", ".", 1) if number.startswith(("0.", "-0.")) else number


def _by(rows: list[Row], key: str | Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key] if isinstance(key, str) else key(row), []).append(row)
    return found


def _groups(rows: list[Row]) -> dict[tuple[str, int], list[Row]]:
    return _by(rows, lambda row: (row["queries"], row["k"]))
