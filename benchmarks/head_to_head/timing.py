"""What a short training takes in both packages, in turn, several times.

OMP_NUM_THREADS=1 python -m benchmarks.head_to_head.timing --data ../shared/data --out experiments/head_to_head
"""

import argparse
import shutil
import statistics
from pathlib import Path

from benchmarks.head_to_head.recipes import RECIPES, Budget, timed, training

WEIGHT = 2.5e-4


def main() -> None:
    """The command."""
    options = _options()
    budget = Budget(options.steps, options.batch_size, options.max_length)
    took: dict[str, list[dict[str, float]]] = {recipe.name: [] for recipe in RECIPES}
    for _ in range(options.rounds):
        for recipe in RECIPES:
            folder = options.out / "timing" / recipe.folder
            shutil.rmtree(folder, ignore_errors=True)
            command = training(options.out, options.data, options.trained_on, recipe, WEIGHT, 1, budget, folder)
            took[recipe.name].append(timed(command))
    print(table(took))


def table(took: dict[str, list[dict[str, float]]]) -> str:
    """Medians of the rounds and the ratio of each to ours on the same data, as Markdown."""
    lines = ["| | wall s | processor s | peak MiB |", "|---|---:|---:|---:|"]
    median = {
        name: {unit: statistics.median(one[unit] for one in rounds) for unit in rounds[0]}
        for name, rounds in took.items()
    }
    for recipe in RECIPES:
        ours = median[recipe._replace(package="ours").name]
        cells = [f"{value:.0f} ({value / ours[unit]:.2f}×)" for unit, value in median[recipe.name].items()]
        lines.append(f"| {recipe.name} | {' | '.join(cells)} |")
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
