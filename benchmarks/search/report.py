"""The comparison as a Markdown table and as a plot of time against recall."""

from pathlib import Path
from typing import Any

from splade.files import whole_file


def write_report(result: dict[str, Any], target: Path) -> None:
    """Write ``target`` .md, and .png for a comparison, from what the command measured."""
    text = table(result) if "searches" in result else adversarial_table(result)
    with whole_file(target.with_name(f"{target.name}.md")) as stream:
        stream.write(text)
    if result.get("searches"):
        plot(result["searches"], target.with_name(f"{target.name}.png"))


def table(result: dict[str, Any]) -> str:
    """Milliseconds per query, with recall where it is below .9995; batches; then what building took."""
    setting = result["setting"]
    lines = [
        f"{setting['collection']}: {setting['docs']} documents of {setting['postings'] / setting['docs']:.1f} terms; "
        f"median of {setting['rounds']} interleaved rounds; ms per query (recall); {setting['processor']}; "
        + ", ".join(f"{name} {number}" for name, number in setting["versions"].items()),
        "",
        f"One thread, its processor's clock, {setting['queries']} queries of each set:",
        "",
        *_cells(result["searches"]),
    ]
    if result["batches"]:
        lines += ["", f"Batches of {setting['batch']} queries, the clock on the wall:", "", *_cells(result["batches"])]
    lines += ["", "| index | threads | build s | processor s | peak MB | index MB | bytes/posting | open s |"]
    lines += ["|---" * 8 + "|", *(_built(note) for note in result["built"])]
    return "\n".join(lines) + "\n"


def _cells(searches: list[dict[str, Any]]) -> list[str]:
    """A line per engine and number of threads, a column per query set and k."""
    columns = list(dict.fromkeys((row["queries"], row["k"]) for row in searches))
    cells = {(_title(row), row["queries"], row["k"]): row for row in searches}
    lines = ["| engine | " + " | ".join(f"{name} k={k}" for name, k in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for title in dict.fromkeys(_title(row) for row in searches):
        lines.append(f"| {title} | " + " | ".join(_cell(cells[(title, *column)]) for column in columns) + " |")
    return lines


def _title(row: dict[str, Any]) -> str:
    return str(row["engine"]) + (f", {row['threads']} thread" + "s" * (row["threads"] > 1) if row["threads"] else "")


def _built(note: dict[str, Any]) -> str:
    size = f"{note['bytes'] / 1e6:.0f} | {note['bytes'] / note['postings']:.1f}"
    seconds = f"{note['wall_s']:.1f} | {note['processor_s']:.1f}"
    start = f"| {note['engine']} | {note['threads']} | {seconds} | {note['peak_mb']:.0f} | "
    return f"{start}{size} | {note['open_s']:.3f} |"


def adversarial_table(result: dict[str, Any]) -> str:
    """Milliseconds of the exhaustive strategy and what share of them the others take."""
    setting = result["setting"]
    lines = [
        f"{setting['collection']}: {setting['docs']} documents, median of {setting['rounds']} interleaved rounds, "
        "ms per query and the ratio to the exhaustive strategy",
        "",
        "| case | k | exhaustive | block_max | auto |",
        "|---|---|---|---|---|",
    ]
    for row in result["adversarial"]:
        others = [f"{row[name]:.3f} ({row[f'{name}_ratio']:.2f})" for name in ("block_max", "auto")]
        lines.append(f"| {row['case']} | {row['k']} | {row['exhaustive']:.3f} | " + " | ".join(others) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    return f"{row['ms']:.3f}" + (f" ({row['recall']:.4f})" if row["recall"] < 0.9995 else "")


def plot(searches: list[dict[str, Any]], path: Path) -> None:
    """One panel per query set and k; engines as points, time on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys((row["queries"], row["k"]) for row in searches))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4 * len(panels), 4), squeeze=False)
    for axis, (name, k) in zip(axes[0], panels, strict=True):
        for family in dict.fromkeys(row["engine"].split()[0] for row in searches):
            rows = [r for r in searches if (r["queries"], r["k"]) == (name, k) and r["engine"].split()[0] == family]
            axis.plot([row["recall"] for row in rows], [row["ms"] for row in rows], "o", label=family)
        axis.set(title=f"{name}, k = {k}", xlabel="recall", ylabel="ms per query", yscale="log")
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
