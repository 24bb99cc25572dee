"""Artefacts of an earlier version go on opening: an index, models, a training, a saved config.

`tests/keep.py` wrote them, before the files of the package moved to their rooms.
"""

import shutil

import numpy as np
import pytest

from splade import InvertedIndex, Searcher
from splade.config import configure
from tests.conftest import ROOT
from tests.keep import K, vectors_of
from tests.kernels.cases import random_batch
from tests.training.toy import saved_weights, toy_trainer

KEPT = ROOT / "tests" / "kept"


@pytest.mark.parametrize("strategy", ["auto", "exhaustive", "reference"])
def test_an_index_with_updates_answers_as_it_did(strategy):
    index = InvertedIndex.open(KEPT / "index", verify=True)
    expected = np.load(KEPT / "answers.npz")
    found = list(Searcher(index, strategy).search(random_batch(2, 4, index.vocab_size, prefix="q"), K))
    assert [list(ranking.doc_ids) for ranking in found] == expected["ids"].tolist()
    np.testing.assert_array_equal([ranking.scores for ranking in found], expected["scores"])


def test_models_give_the_vectors_that_they_gave():
    expected = np.load(KEPT / "vectors.npz")
    found = vectors_of(KEPT)
    assert found.keys() == set(expected)
    for name, matrix in found.items():
        assert expected[name].any(axis=1).all()
        np.testing.assert_allclose(matrix, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_training_goes_on_to_the_weights_that_it_would_have_had(tmp_path):
    shutil.copytree(KEPT / "training", tmp_path / "training")
    trainer = toy_trainer(tmp_path / "training")
    assert trainer.run().steps_now == 6
    found, expected = saved_weights(trainer.model_dir), np.load(KEPT / "weights.npz")
    assert found.keys() == set(expected)
    for name, weight in found.items():
        np.testing.assert_allclose(weight.numpy(), expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_saved_config_gives_the_values_that_it_had():
    again = configure("train", (), {"SPLADE_CONFIG_FULLPATH": str(KEPT / "config.yaml")})
    assert (again.config.lr, again.config.seed, again.config.loss) == (0.001, 7, "PairwiseNLL")
