"""Ours and sentence-transformers' sparse training from the same start, with the same data, at equal FLOPS.

    pip install -c constraints.txt -e '.[benchmarks]' sentence-transformers datasets accelerate
    OMP_NUM_THREADS=1 python -m benchmarks.head_to_head --data ../shared/data --out experiments/head_to_head

Every stage is skipped where its result is there already, so an interrupted run continues. Writes OUT/results.json and
prints the tables of README.md.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.head_to_head.comparison import Contestant, answers
from benchmarks.head_to_head.recipes import RECIPES, Budget, Recipe, cost_of, start_from, trained
from benchmarks.head_to_head.sample import sampled
from benchmarks.head_to_head.tables import tables
from benchmarks.head_to_head.vectors import METRICS, Source, Vectors, cut_to, encoded, judged, lexical, with_bm25
from benchmarks.real_data.run import bm25
from splade.files import write_json

SETS = ("squad:dev", "medquad:dev", "scifact:test", "cranfield:test", "vaswani:test")
SEEDS = (1, 2, 3)
FEWEST = 20  # questions of a set: below that no test tells anything
EXPANSION = 0.2  # of add_bm25 on sets that are not trained on: its default


class Trial:
    """Everything about one set that is trained on: models, what the sample chooses, and what the sets say."""

    def __init__(self, options: argparse.Namespace, name: str) -> None:
        self.options, self.name = options, name
        self.budget = Budget(options.steps, options.batch_size, options.max_length)
        place = options.out / "samples" / f"{name}-train-{options.sample}"
        self.sample = Source(
            sampled(options.data, name, "train", place, options.sample, options.sample_questions), "train"
        )

    def run(self) -> dict[str, Any]:
        """Train, choose, and try on every set; all figures, as JSON."""
        first = self.options.seeds[0]
        chosen, choice = self._choose()
        values: dict[str, dict[Contestant, NDArray[np.float64]]] = {}
        figures: dict[str, Any] = {}
        for text in self.options.sets:
            name, source = self._source(text)
            figures[name], values[name] = self._on(name, source, chosen)
        return {
            "trained_on": self.name,
            "costs": {
                recipe.name: cost_of(self._model(recipe, weight, first)) for recipe, (weight, _) in chosen.items()
            },
            "choice": choice,
            "sets": figures,
            "answers": [answer._asdict() for answer in answers(values)],
        }

    def _choose(self) -> tuple[dict[Recipe, tuple[float, float]], list[dict[str, Any]]]:
        """λ and weight of the expansion of every recipe: the best nDCG@10 on the sample at equal FLOPS.

        The FLOPS are those of the cheapest recipe with the smallest λ.
        """
        options = self.options
        vectors = {
            (recipe, weight): self._encoded(
                recipe, weight, self.options.seeds[0], f"sample-{options.sample}", self.sample
            )
            for recipe in RECIPES
            for weight in options.weights
        }
        flops = min(vectors[recipe, min(options.weights)].flops for recipe in RECIPES)
        own = self._lexical(f"sample-{self.name}-{options.sample}", self.sample)
        chosen, rows = {}, []
        for recipe in RECIPES:
            tried = {weight: self._score(vectors[recipe, weight], self.sample, flops) for weight in options.weights}
            weight = max(tried, key=tried.__getitem__)
            mixed = {
                expansion: self._score(with_bm25(vectors[recipe, weight], own, expansion), self.sample, flops)
                for expansion in options.expansions
            }
            chosen[recipe] = weight, max(mixed, key=mixed.__getitem__)
            rows.append({"recipe": recipe.name, "flops": flops, "by_weight": tried, "by_expansion": mixed})
        return chosen, rows

    def _on(
        self, name: str, source: Source, chosen: dict[Recipe, tuple[float, float]]
    ) -> tuple[dict[str, Any], dict[Contestant, NDArray[np.float64]]]:
        """All contestants with all seeds on a set, everybody cut to the FLOPS of the cheapest; nDCG@10 by query."""
        own = self._lexical(name, source)
        made: dict[tuple[Contestant, int], Vectors] = {}
        for recipe, (weight, expansion) in chosen.items():
            for seed in self.options.seeds:
                plain = self._encoded(recipe, weight, seed, name, source)
                made[Contestant(recipe, False), seed] = plain
                used = expansion if name == self.name else EXPANSION  # elsewhere no training question could choose it
                made[Contestant(recipe, True), seed] = with_bm25(plain, own, used)
        flops = min(vectors.flops for vectors in made.values())
        figures: list[dict[str, Any]] = []
        by_query: dict[Contestant, list[NDArray[np.float64]]] = {}
        for (contestant, seed), vectors in made.items():
            whole, cut = judged(vectors, source), cut_to(vectors, flops)
            found = judged(cut, source)
            by_query.setdefault(contestant, []).append(found["ndcg_cut_10"])
            figures.append(
                {"contestant": contestant.name, "seed": seed}
                | {"uncut_" + metric: float(each.mean()) for metric, each in whole.items()}
                | {"uncut_flops": vectors.flops, "flops": cut.flops, "terms": cut.terms}
                | {metric: float(found[metric].mean()) for metric in METRICS}
            )
        stacked = {contestant: np.mean(each, axis=0) for contestant, each in by_query.items()}
        described = {"documents": int(own.document.shape[0]), "questions": int(own.query.shape[0]), "flops": flops}
        described["bm25"] = bm25(source.folder.parent, source.folder.name, source.split)
        return described | {"figures": figures}, stacked

    def _source(self, text: str) -> tuple[str, Source]:
        """The set NAME:SPLIT, cut to runs of neighbours where it has more than ``--passages`` documents."""
        name, _, split = text.partition(":")
        options = self.options
        if not options.passages:
            return name, Source(options.data / name, split)
        place = options.out / "samples" / f"{name}-{split}-{options.passages}" / name
        source = Source(sampled(options.data, name, split, place, options.passages), split)
        if len(source.texts("query")) < FEWEST:
            raise SystemExit(
                f"{text} cut to {options.passages} documents keeps fewer than {FEWEST} questions whose answers are "
                "among them: leave the set out of --sets, or take more --passages (0: all)"
            )
        return name, source

    def _model(self, recipe: Recipe, weight: float, seed: int) -> Path:
        return trained(self.options.out, self.options.data, self.name, recipe, weight, seed, self.budget)

    def _encoded(self, recipe: Recipe, weight: float, seed: int, name: str, source: Source) -> Vectors:
        folder = self._model(recipe, weight, seed)
        return encoded(folder / "model", source, folder / "vectors" / name, self.options.read_length)

    def _lexical(self, name: str, source: Source) -> Vectors:
        options = self.options
        return lexical(start_from(options.out / "start"), source, options.out / "lexical" / name, options.read_length)

    def _score(self, vectors: Vectors, source: Source, flops: float) -> float:
        return float(judged(cut_to(vectors, flops), source)["ndcg_cut_10"].mean())


def main() -> None:
    """The command."""
    options = _options()
    results: dict[str, Any] = {"setting": {name: str(value) for name, value in vars(options).items()}, "trials": []}
    for name in options.trained_on:
        results["trials"].append(Trial(options, name).run())
        write_json(options.out / "results.json", results)
    print(tables(json.loads((options.out / "results.json").read_text())))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.head_to_head",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of the BEIR folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trained-on", nargs="+", default=["squad", "medquad"], help="sets with a train split")
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="NAME:SPLIT", help="sets that models are tried on")
    parser.add_argument("--passages", type=int, default=0, help="documents of a set at most; all where 0")
    parser.add_argument("--sample", type=int, default=1200, help="passages of the sample that λ is chosen on")
    parser.add_argument("--sample-questions", type=int, default=300, help="training questions of the sample")
    parser.add_argument("--weights", type=float, nargs="+", default=[2.5e-4, 1e-3, 4e-3], help="λ of FLOPS")
    parser.add_argument("--expansions", type=float, nargs="+", default=[0.2, 0.6], help="weights beside BM25's 1")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the chosen λ; the first chooses")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=16, help="passages a step")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text in training")
    parser.add_argument("--read-length", type=int, default=256, help="tokens of a text in the evaluation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
