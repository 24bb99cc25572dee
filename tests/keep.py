"""Write what a later version must go on opening: an index, models, a training's checkpoint, a saved config.

    python -m tests.keep tests/kept

``tests/test_kept_artefacts.py`` opens what an earlier version wrote so. Run it again only where a format changes on
purpose, and then into a folder of its own: the old one stays.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from splade import IndexBuilder, InvertedIndex, Searcher
from splade.config import configure, save_config
from splade.encoding import Encoder
from splade.indexing import IndexAppender, delete
from splade.kernels.sparse import to_dense
from splade.models import Splade, SpladeDoc, SpladeMlp, load_retriever, save_retriever
from splade.records import SIDES, Text
from tests.kernels.cases import random_batch
from tests.tiny import tiny_mlm
from tests.training.toy import saved_weights, toy_trainer

TEXTS = ["the heat of the sun", "a bridge over the river", "honey"]
WIDTH, K = 30, 7


def main() -> None:
    """The command."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    keep_index(folder)
    keep_models(folder)
    keep_training(folder)
    save_config(configure("train", ["config.lr=0.001", "loss=pairwise", "config.seed=7"]), folder / "config.yaml")


def keep_index(folder: Path) -> None:
    """An index that was appended to and deleted from, and what it answers."""
    builder = IndexBuilder(folder / "index", WIDTH)
    builder.add(random_batch(0, 40, WIDTH))
    builder.finish()
    appender = IndexAppender(folder / "index")
    appender.add(random_batch(1, 5, WIDTH, prefix="later"))
    appender.finish()
    delete(folder / "index", ["d3", "later1"])
    queries = random_batch(2, 4, WIDTH, prefix="q")
    found = list(Searcher(InvertedIndex.open(folder / "index")).search(queries, K))
    np.savez(
        folder / "answers.npz",
        ids=np.array([ranking.doc_ids for ranking in found]),
        scores=np.array([ranking.scores for ranking in found]),
    )


def keep_models(folder: Path) -> None:
    """Three kinds of models and the vectors that they give."""
    mlm = tiny_mlm(folder / "mlm", hidden=8, layers=1)
    kinds = {"splade": Splade(mlm, agg="sum", prompt_q="find "), "doc": SpladeDoc(mlm), "mlp": SpladeMlp(mlm)}
    for name, model in kinds.items():
        save_retriever(model, folder / "models" / name)
    np.savez(folder / "vectors.npz", **vectors_of(folder))
    shutil.rmtree(mlm)


def vectors_of(folder: Path) -> dict[str, np.ndarray]:
    """The vectors of `TEXTS` by each model below ``folder`` and side, as matrices."""
    found = {}
    for place in sorted((folder / "models").iterdir()):
        for side in SIDES:
            encoder = Encoder(load_retriever(place), side, device="cpu")
            batch = encoder.encode_all([Text(str(n), text) for n, text in enumerate(TEXTS)])
            found[f"{place.name} {side}"] = to_dense(batch.rows, batch.vocab_size)
    return found


def keep_training(folder: Path) -> None:
    """A training of six steps, and the weights of one that went on from there to twelve."""
    toy_trainer(folder / "training", nb_iterations=6).run()
    shutil.copytree(folder / "training", folder / "whole")
    whole = toy_trainer(folder / "whole")
    whole.run()
    np.savez(folder / "weights.npz", **{name: value.numpy() for name, value in saved_weights(whole.model_dir).items()})
    shutil.rmtree(folder / "whole")


if __name__ == "__main__":
    main()
