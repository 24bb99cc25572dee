"""The results of a comparison as Markdown."""

from collections.abc import Iterable
from statistics import fmean
from typing import Any


def tables(results: dict[str, Any]) -> str:
    """For each set that is trained on: costs, what chose the settings, contestants by set, and the tests."""
    parts = []
    for trial in results["trials"]:
        parts += [f"### Trained on {trial['trained_on']}", costs(trial), choice(trial), by_set(trial), tests(trial)]
    return "\n\n".join(parts)


def costs(trial: dict[str, Any]) -> str:
    """Seconds and memory of one training of each recipe."""
    rows = [
        (name, *(f"{took[unit]:.0f}" for unit in ("wall_s", "processor_s", "peak_mib")))
        for name, took in trial["costs"].items()
    ]
    return _table(("one training", "wall s", "processor s", "peak MiB"), rows)


def choice(trial: dict[str, Any]) -> str:
    """nDCG@10 on the sample with every λ, and with every weight of the expansion beside BM25's."""
    first = trial["choice"][0]
    heads = [f"λ {float(weight):g}" for weight in first["by_weight"]]
    heads += [f"add_bm25, expansion {float(weight):g}" for weight in first["by_expansion"]]
    rows = [(row["recipe"], *_best_bold(row["by_weight"]), *_best_bold(row["by_expansion"])) for row in trial["choice"]]
    return _table((f"sample, {first['flops']:.2f} FLOPS", *heads), rows)


def by_set(trial: dict[str, Any]) -> str:
    """nDCG@10 of the contestants on every set at equal FLOPS: the mean over seeds, and their range."""
    names = list(trial["sets"])
    heads = [f"{name} ({trial['sets'][name]['flops']:.2f} FLOPS)" for name in names]
    contestants = dict.fromkeys(row["contestant"] for name in names for row in trial["sets"][name]["figures"])
    rows: list[tuple[str, ...]] = [
        ("BM25 (bm25s, stemmed)", *(f"{trial['sets'][name]['bm25']['ndcg_cut_10']:.3f}" for name in names))
    ]
    for contestant in contestants:
        cells = [_spread(trial["sets"][name]["figures"], contestant, "ndcg_cut_10") for name in names]
        rows.append((contestant, *cells))
    uncut: list[tuple[str, ...]] = []
    for contestant in contestants:
        cells = [
            f"{_mean(trial['sets'][name]['figures'], contestant, 'uncut_ndcg_cut_10'):.3f} "
            f"({_mean(trial['sets'][name]['figures'], contestant, 'uncut_flops'):.2f})"
            for name in names
        ]
        uncut.append((contestant, *cells))
    counted = ", ".join(
        f"{name} {trial['sets'][name]['documents']:,} documents and {trial['sets'][name]['questions']:,} questions"
        for name in names
    )
    return "\n\n".join(
        [
            f"nDCG@10 at equal FLOPS, mean over seeds (lowest–highest); {counted}:",
            _table(("", *heads), rows),
            "Uncut, nDCG@10 (FLOPS), mean over seeds:",
            _table(("", *names), uncut),
        ]
    )


def tests(trial: dict[str, Any]) -> str:
    """Differences of nDCG@10, with p values."""
    rows = [
        (
            one["asked"],
            one["set"],
            f"{one['difference']:+.3f}",
            f"{one['t_test']:.4f}",
            f"{one['randomisation']:.4f}",
            f"{one['corrected']:.4f}" + (" *" if one["corrected"] < 0.05 else ""),
        )
        for one in trial["answers"]
    ]
    heads = ("question", "set", "difference", "p, t-test", "p, randomisation", "p, Holm over all rows")
    return _table(heads, rows)


def _best_bold(values: dict[str, float]) -> list[str]:
    best = max(values.values())
    return [f"**{value:.4f}**" if value == best else f"{value:.4f}" for value in values.values()]


def _spread(rows: list[dict[str, Any]], contestant: str, figure: str) -> str:
    values = [row[figure] for row in rows if row["contestant"] == contestant]
    return f"{fmean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def _mean(rows: list[dict[str, Any]], contestant: str, figure: str) -> float:
    return fmean(row[figure] for row in rows if row["contestant"] == contestant)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])
