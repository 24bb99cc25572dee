"""The comparison as Markdown and as a plot of time against recall."""

from pathlib import Path
from typing import Any

from benchmarks.search import tables
from splade.files import whole_file


def write_report(result: dict[str, Any], target: Path) -> None:
    """Write ``target`` .md, and .png for a comparison, from what the command measured."""
    text = table(result) if "searches" in result else adversarial_table(result)
    with whole_file(target.with_name(f"{target.name}.md")) as stream:
        stream.write(text)
    if result.get("searches"):
        plot(result["searches"], target.with_name(f"{target.name}.png"))


def table(result: dict[str, Any]) -> str:
    """All tables of a comparison, in the form in which they go into the README."""
    setting, sets = result["setting"], list(dict.fromkeys(row["queries"] for row in result["searches"]))
    lines = [
        f"{setting['collection']}: {setting['docs']:,} documents of {setting['postings'] / setting['docs']:.1f} terms; "
        f"median of {setting['rounds']} interleaved rounds; {setting['processor']}; "
        + ", ".join(f"{name} {number}" for name, number in setting["versions"].items())
        + f". `approximate` is calibrated on {setting['calibrated']}.",
    ]
    for kind, said in (("exact", "exact"), ("approximate", "approximate")):
        for name in sets:
            rows = [row for row in result["searches"] if (row["queries"], row["kind"]) == (name, kind)]
            if rows:
                head = f"**{name}, {said}**: {rows[0]['n_queries']} queries, each by itself, one thread, "
                lines += ["", head + "milliseconds a query by its processor's clock.", "", *tables.searches(rows)]
    size = tables.bytes_per_posting(result["built"])
    others = [
        ("**`auto` beside its two**, milliseconds a query:", tables.strategies(result["strategies"])),
        ("**Before and now**, in turn, milliseconds a query:", tables.before(result.get("before", []))),
        ("**Seismic at equal recall, and at equal bytes per posting**:", tables.rivals(result["searches"], size)),
        (
            f"**Batches** of up to {setting['batch']:,} queries, the clock on the wall; recall of the first "
            f"{setting['queries']}:",
            tables.batches(result["batches"]),
        ),
        ("**Indexes**:", tables.built(result["built"])),
    ]
    for said, found in others:
        lines += ["", said, "", *found] if len(found) > 2 else []
    return "\n".join(lines) + "\n"


def adversarial_table(result: dict[str, Any]) -> str:
    """Milliseconds of the exhaustive strategy and what share of them the others take."""
    setting = result["setting"]
    lines = [
        f"{setting['collection']}: {setting['docs']} documents, median of {setting['rounds']} interleaved rounds, "
        "ms per query and the ratio to the exhaustive strategy",
        "",
        "| case | k | exhaustive | block_max | auto | auto: blocks · postings · ρ |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["adversarial"]:
        others = [f"{row[name]:.3f} ({row[f'{name}_ratio']:.2f})" for name in ("block_max", "auto")]
        lines.append(
            f"| {row['case']} | {row['k']} | {row['exhaustive']:.3f} | "
            + " | ".join(others)
            + f" | {tables.touched(row)} |"
        )
    return "\n".join(lines) + "\n"


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
