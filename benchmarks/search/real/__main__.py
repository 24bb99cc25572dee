"""Makes real collections for the benchmark of search: three models trained from MiniLM, sentences, and questions.

    pip install -c constraints.txt -e '.[benchmarks]'
    python -m benchmarks.search.real --data ../shared/data --folder bench-data/real

Trains `long`, `v3` and `eff` to their numbers of terms, encodes sentences and questions, and writes a folder each of
files for `benchmarks.search --vectors`. Every step is kept as soon as it is done, encoding in parts; a later run goes
on behind them.
"""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.search.real.collection import write_collection
from benchmarks.search.real.fixtures import read_fixtures
from benchmarks.search.real.judging import judge
from benchmarks.search.real.models import RECIPES, Recipe, train, write_start
from benchmarks.search.real.pairs import write_pairs
from benchmarks.search.real.texts import chosen, read_questions, read_texts, windows
from benchmarks.search.real.vectors import Side, encode, maxima
from splade.files import InputError, read_json, write_json

logger = logging.getLogger(__name__)

BERT = 30522  # terms of the vocabulary that the fixtures' vectors have


class Making:
    """Everything that is made in a folder, from what ``options`` say."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.folder
        self.texts = read_texts(options.data)
        self.questions = read_questions(options.data, options.questions)
        self._check()
        self.pairs = write_pairs(self.folder / "pairs", self.questions, self.texts, options.train_questions)
        self.start = write_start(self.folder / "start", options.layers)

    def make(self, recipe: Recipe) -> dict[str, Any]:
        """Train one model, say whether that helped, encode with it and write its collection; its figures."""
        out, workers = self.folder / recipe.name, self.options.workers
        with self._timed(recipe.name, "training"):
            model = train(out, recipe, self.start, self.pairs, steps=self.options.steps)
        dev = {
            "start": judge(self.folder / "start-judged", self.start, self.pairs, workers=workers),
            "trained": judge(out, model, self.pairs, workers=workers),
        }
        logger.info("%s: dev questions before and after training: %s", recipe.name, dev)
        of = recipe.documents_of or recipe.name
        sentences = chosen(self.texts, recipe.sentences if self.options.sentences is None else self.options.sentences)
        with self._timed(recipe.name, "encoding"):
            held_out, calibration = (
                encode(out / half, Side(model, "query"), getattr(self.questions, half), workers=workers)
                for half in ("held_out", "calibration")
            )
            document = Side(self.folder / of / "model", "document")
            encoded = encode(self.folder / of / "sentences", document, sentences.distinct, workers=workers)
        with self._timed(recipe.name, "collection"):
            documents = maxima(encoded, list(windows(sentences.runs, self.options.longest)))
            fixtures = read_fixtures(self.options.data / "fixtures") if documents.shape[1] == BERT else {}
            about = {"model": recipe._asdict(), "dev": dev, "sentences": len(sentences.distinct)}
            place = self.folder / "collections" / f"real-{recipe.name}"
            return write_collection(place, documents, {"held-out": held_out, **fixtures}, calibration, about)

    def _check(self) -> None:
        """Refuse a folder that was begun with other texts, questions, layers or steps: its parts would be of those."""
        options = self.options
        begun = {"data": [len(self.texts), sum(map(len, self.texts.values()))], "layers": options.layers} | {
            name: getattr(options, name) for name in ("questions", "train_questions", "steps")
        }
        path = self.folder / "begun.json"
        former = read_json(path) if path.exists() else begun
        if changed := [name for name in begun if former.get(name) != begun[name]]:
            raise InputError(f"{path}: begun with other {', '.join(changed)}: {former}; choose another --folder")
        write_json(path, begun)

    @contextmanager
    def _timed(self, name: str, step: str) -> Iterator[None]:
        """Add the seconds of the block to ``seconds.json``, where interrupted runs add theirs as well."""
        before = _seconds()
        try:
            yield
        finally:
            path = self.folder / "seconds.json"
            told = read_json(path) if path.exists() else {}
            spent = told.setdefault(name, {}).setdefault(step, {"wall": 0.0, "processor": 0.0})
            for kind, seconds in _seconds().items():
                spent[kind] += seconds - before[kind]
            write_json(path, told)


def _seconds() -> dict[str, float]:
    """Seconds of the clock on the wall, and of the processor, that of ended child processes too."""
    spent = os.times()
    return {"wall": spent.elapsed, "processor": sum(spent[:4])}


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options = _parser().parse_args(arguments)
    try:
        making = Making(options)
        for name in options.models:
            print(summary(name, making.make(RECIPES[name])), flush=True)
    except InputError as error:
        raise SystemExit(str(error)) from error


def summary(name: str, told: dict[str, Any]) -> str:
    """One line of figures of a collection."""
    sets = "; ".join(
        f"{kind} {figures['rows']:,} of {figures['terms']:.1f} terms, flatness {figures['flatness']:.3f}"
        for kind, figures in told.items()
        if kind != "about"
    )
    return f"real-{name}: {sets}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search.real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, names = parser.add_argument, list(RECIPES)
    add("--data", type=Path, required=True, help="the folder of the BEIR folders")
    add("--folder", type=Path, required=True, help="of everything that is made; the results are in its collections/")
    add("--models", nargs="+", choices=names, default=names, help="eff needs v3: before it, or made already")
    add("--sentences", type=int, help="distinct ones, in whole texts; 0: all; default: all for long, 90,000 for others")
    add("--longest", type=int, default=3, help="consecutive sentences in a document, at most")
    add("--questions", type=int, default=8000, help="to search with, half of them for calibration")
    add("--train-questions", type=int, default=6400, help="that models are trained on, at most")
    add("--layers", type=int, default=3, help="the last ones of MiniLM's six that models have")
    add("--steps", type=int, default=0, help="of every training; 0: those of the recipe")
    add("--workers", type=int, default=2, help="processes that encode, with one thread each")
    return parser


if __name__ == "__main__":
    main()
