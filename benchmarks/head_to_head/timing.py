"""What a short training takes in both packages, in turn, several times.

OMP_NUM_THREADS=1 python -m benchmarks.head_to_head.timing --data ../shared/data --out experiments/head_to_head
"""

import argparse
import shutil
import statistics
from pathlib import Path

from benchmarks.head_to_head.__main__ import OURS, THEIRS, start_from, timed, training

WEIGHT = 2.5e-4
PACKAGES = (OURS, THEIRS)


def main() -> None:
    """The command."""
    options = _options()
    start = start_from(options.out / "start")
    took: dict[str, list[dict[str, float]]] = {package: [] for package in PACKAGES}
    for _ in range(options.rounds):
        for package in PACKAGES:
            folder = options.out / "timing" / package
            shutil.rmtree(folder, ignore_errors=True)
            took[package].append(timed(training(start, options, options.trained_on, WEIGHT, package, folder)))
    print(table(took))


def table(took: dict[str, list[dict[str, float]]]) -> str:
    """Medians of the rounds and the ratio of each to ours, which has BM25's negatives, as Markdown."""
    lines = ["| | wall s | processor s | peak MiB |", "|---|---:|---:|---:|"]
    median = {
        package: {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        for package, rounds in took.items()
    }
    for package, found in median.items():
        cells = [f"{value:.0f} ({value / median[OURS][name]:.2f}×)" for name, value in found.items()]
        lines.append(f"| {package} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.head_to_head.timing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the BEIR folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained-on", default="squad")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128)
    return parser.parse_args()


if __name__ == "__main__":
    main()
