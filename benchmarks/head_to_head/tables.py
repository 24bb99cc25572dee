"""The results of both packages as Markdown."""

from operator import itemgetter
from statistics import fmean
from typing import Any

COLUMNS = {"ndcg_cut_10": ".4f", "mrr_10": ".4f", "recall_100": ".4f", "L0_q": ".1f", "L0_d": ".1f", "flops": ".2f"}
HEADS = ("nDCG@10", "MRR@10", "R@100", "terms per query", "terms per document", "FLOPS")


def tables(results: dict[str, Any]) -> str:
    """What training took and what chose λ, the sample's figures with other seeds, a table for each set, BM25 first."""
    first = [run for run in results["runs"] if run["seed"] == results["seed"]]
    sets = (of_set(results, name) for name in results["bm25"])
    return "\n\n".join([cost(first), seeds(results["runs"]), at_their_flops(first), *sets])


def cost(runs: list[dict[str, Any]]) -> str:
    """Seconds and memory of each training, and the sample's figures."""
    lines = [
        f"| trained on | λ | expansion | model | wall s | processor s | peak MiB | {' | '.join(HEADS)} |",
        "|---|---|---|---|---:|---:|---:" + "|---:" * len(HEADS) + "|",
    ]
    for run in runs:
        took = " | ".join(f"{run['training'][name]:.0f}" for name in ("wall_s", "processor_s", "peak_mib"))
        about = f"{run['trained_on']} | {weight(run)} | {run.get('expansion', '')} | {run['package']}"
        lines.append(f"| {about} | {took} | {_cells(run['sample'])} |")
    return "\n".join(lines)


def seeds(runs: list[dict[str, Any]]) -> str:
    """The sample's nDCG@10 and FLOPS of what was trained with several seeds, and the means."""
    numbers = sorted({run["seed"] for run in runs})
    groups: dict[tuple[Any, ...], dict[int, dict[str, float]]] = {}
    for run in runs:
        key = tuple(run.get(name, "") for name in ("trained_on", "weight", "expansion", "package"))
        groups.setdefault(key, {})[run["seed"]] = run["sample"]
    heads = [f"seed {number}" for number in numbers]
    lines = [
        f"| trained on | λ | expansion | model | {' | '.join(heads)} | mean |",
        "|---" * 4 + "|---:" * len(heads) + "|---:|",
    ]
    for (trained_on, value, expansion, package), found in groups.items():
        if len(found) > 1:
            figures = [found[number] for number in numbers]
            figures.append({name: fmean(one[name] for one in figures) for name in ("ndcg_cut_10", "flops")})
            cells = " | ".join(_scored(one) for one in figures)
            lines.append(f"| {trained_on} | {value:g} | {expansion} | {package} | {cells} |")
    return "\n".join(lines)


def at_their_flops(runs: list[dict[str, Any]]) -> str:
    """nDCG@10 of ours on every set, between theirs with the next fewer and the next more FLOPS."""
    lines = ["| trained on | set | theirs, fewer FLOPS | ours | theirs, more FLOPS |", "|---|---|---:|---:|---:|"]
    for ours in (run for run in runs if run["package"] == "ours" and "sets" in run):
        others = [run for run in runs if run["package"] == "theirs" and run["trained_on"] == ours["trained_on"]]
        for name, mine in ours["sets"].items():
            found = sorted(
                (run["sets"][name] for run in others if name in run.get("sets", ())), key=itemgetter("flops")
            )
            fewer = [one for one in found if one["flops"] <= mine["flops"]][-1:]
            more = [one for one in found if one["flops"] > mine["flops"]][:1]
            cells = " | ".join(" ".join(_scored(one) for one in some) for some in (fewer, [mine], more))
            lines.append(f"| {ours['trained_on']} | {name} | {cells} |")
    return "\n".join(lines)


def _scored(figures: dict[str, float]) -> str:
    return f"{figures['ndcg_cut_10']:.4f} ({figures['flops']:.2f})"


def of_set(results: dict[str, Any], name: str) -> str:
    """The models that were tried on a set."""
    head = f"| trained on | λ | model | {' | '.join(HEADS)} |"
    lines = [f"### {name}", "", head, "|---|---|---" + "|---:" * len(HEADS) + "|"]
    lines.append(f"| | | BM25 (bm25s, stemmed) | {_cells(results['bm25'][name])} |")
    for run in results["runs"]:
        if name in run.get("sets", ()):
            lines.append(f"| {run['trained_on']} | {weight(run)} | {run['package']} | {_cells(run['sets'][name])} |")
    return "\n".join(lines)


def weight(run: dict[str, Any]) -> str:
    """λ, in bold where the sample chose it."""
    return f"**{run['weight']:g}**" if run.get("chosen") else f"{run['weight']:g}"


def _cells(figures: dict[str, float]) -> str:
    return " | ".join(format(figures[name], form) if name in figures else "" for name, form in COLUMNS.items())
