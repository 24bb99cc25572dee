"""Every loss of the catalog is composed from a config, takes 20 steps and falls."""

import pytest
from hydra.utils import instantiate

from splade.config import configure
from splade.config.checking.wiring import components
from splade.models import Splade
from tests.tiny import tiny_mlm
from tests.training.toy import ToyExamples, ToyRetriever, rows, toy_trainer

MIX = {"KlDiv": 0.9, "DistilMarginMSE": 0.05, "ScoreAwareInBatchNLL": 0.1}
LOSSES = [("loss", name) for name in components().catalog.loss]
LOSSES += [
    pytest.param("training_loss", name, marks=[pytest.mark.slow] * (name in components().catalog.loss))  # once more
    for name in components().catalog.training_loss
]


def composed(kind, name):
    """The loss ``name`` as ``splade train`` would make it."""
    overrides = ["train/data=toy_hard_negatives"]
    config = "config_default"
    if kind == "loss":
        in_batch = ["config.augment_pairs=in_batch_negatives"] if name == "InBatchPairwiseNLL" else []
        overrides += [f"config.loss={name}", *(in_batch or ["~config.augment_pairs"])]
    else:
        config = "config_hf_splade_l1q"
        overrides = [f"hf.training.training_loss={name}"]
    if name == "WeightedSum":
        mix = MIX if kind == "loss" else {"kldiv": 0.9, "contrastive": 0.01, "RankNet": 1}
        overrides += [f"config.loss_weights.{each}={weight}" for each, weight in mix.items()]
    return instantiate(configure("train", overrides, {"SPLADE_CONFIG_NAME": config}).loss)


@pytest.mark.thinned(4)
@pytest.mark.parametrize(("kind", "name"), LOSSES, ids=lambda value: str(value))
def test_a_loss_of_the_catalog_is_composed_and_falls_in_twenty_steps(kind, name, tmp_path):
    trainer = toy_trainer(
        tmp_path,
        model=Splade(tiny_mlm(tmp_path / "mlm", hidden=16)) if name == "MLM" else ToyRetriever(),
        loss=composed(kind, name),
        examples=ToyExamples(n_documents=3, teacher=True),
        penalties=[],
        nb_iterations=20,
        train_batch_size=8,
        record_frequency=20,
        train_monitoring_freq=1,
    )
    trainer.run()
    losses = [row["loss"] for row in rows(tmp_path) if "loss" in row]
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_a_mix_by_config_is_the_weighted_sum_of_its_losses():
    loss = composed("loss", "WeightedSum")
    assert loss.weights == MIX
    assert {name: type(part).__name__ for name, part in loss.losses.items()} == {name: name for name in MIX}
    assert (loss.needs_teacher, loss.in_batch_documents, loss.needs_document_keys) == (True, "all", True)
