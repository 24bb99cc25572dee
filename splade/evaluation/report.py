"""Results on disk and on the screen: every file rewritten whole, numbers in a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splade.files import read_json, write_json


def write_summary(out_dir: str | Path, results: Mapping[str, Mapping[str, float]]) -> None:
    """Write ``perf_all_datasets.json``: the metrics of every query set by its name."""
    write_json(Path(out_dir) / "perf_all_datasets.json", {name: dict(metrics) for name, metrics in results.items()})


def stored_facts(folder: str | Path) -> dict[str, Any]:
    """Read what the search recorded about itself: the JSON files in ``stats/`` of ``folder``, by their name."""
    return {file.stem: read_json(file) for file in sorted((Path(folder) / "stats").glob("*.json"))}


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """The metrics as text: one block of aligned lines per query set, four digits."""
    width = max((len(metric) for metrics in results.values() for metric in metrics), default=0)
    blocks = [
        "\n".join([name, *(f"  {metric:<{width}}  {value:.4f}" for metric, value in metrics.items())])
        for name, metrics in results.items()
    ]
    return "\n".join(blocks)
