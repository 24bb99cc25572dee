"""The comparison as a Markdown table and as a plot of time against recall."""

from pathlib import Path
from typing import Any

from splade.files import whole_file


def write_report(result: dict[str, Any], target: Path) -> None:
    """Write ``target`` .md and .png from what the command measured."""
    with whole_file(target.with_suffix(".md")) as stream:
        stream.write(table(result))
    plot(result["searches"], target.with_suffix(".png"))


def table(result: dict[str, Any]) -> str:
    """Milliseconds per query, with recall where it is below .9995; then what building took."""
    searches, setting = result["searches"], result["setting"]
    columns = list(dict.fromkeys((row["queries"], row["k"]) for row in searches))
    names = list(dict.fromkeys(row["engine"] for row in searches))
    cells = {(row["engine"], row["queries"], row["k"]): row for row in searches}
    lines = [
        f"{setting['docs']} documents, {setting['queries']} queries of each set, {setting['threads']} thread(s), "
        f"median of {setting['rounds']} interleaved rounds, ms per query (recall)",
        "",
        "| engine | " + " | ".join(f"{name} k={k}" for name, k in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        shown = [_cell(cells[(name, *column)]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    lines += ["", "| engine | build s | growth of peak memory, MB | index MB |", "|---|---|---|---|"]
    for note in result["built"]:
        lines.append(
            f"| {note['engine']} | {note['build_s']:.1f} | {note['peak_growth_mb']:.0f} | {note['bytes'] / 1e6:.0f} |"
        )
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
