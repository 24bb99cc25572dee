"""Every shipped recipe as it is, tiny models under the names it gives: the loss falls in twenty steps."""

import json

import pytest

from tests.commands.test_every_config import HF, RERANKERS, TRAINED

STEPS, RATE = 20, "1e-2"  # published rates are for models that have learned already
LONGER = {"config_hf_dense_sigir23_32neg_nodistil": 160, "config_reranker_train_toy": 160}
"""A dense model in 16 dimensions meets all twelve passages as negatives; a cross-encoder begins to learn late."""
TOY = {"config_default", *(name for name in TRAINED if "toy" in name)}  # from an encoder that knows the toy texts


def settings(name: str) -> list[str]:
    """Little data, all of it in each step, and a high rate; the rest is the recipe's."""
    steps = LONGER.get(name, STEPS)
    if name in HF:
        return [
            f"hf.training.max_steps={steps}", f"hf.training.save_steps={steps}", f"hf.training.learning_rate={RATE}",
            "hf.training.per_device_train_batch_size=6", "hf.training.warmup_ratio=0", "hf.training.warmup_steps=1",
            "hf.training.logging_steps=1", "data.VALIDATION_SIZE_FOR_LOSS=2",
        ]  # fmt: skip
    given = [f"config.nb_iterations={steps}", "config.train_monitoring_freq=1"]
    if name in RERANKERS:
        given += ["train/data=distil_from_ensemble", "config.train_batch_size=6", "config.warmup_steps=1"]
        return given if "toy" in name else [*given, f"config.lr={RATE}"]
    given += [f"config.record_frequency={steps}"]
    if name not in TOY:
        given += [f"config.lr={RATE}", "config.train_batch_size=6", "config.warmup_steps=1"]
    return given if name == "config_default" else [*given, "data.VALIDATION_SIZE_FOR_LOSS=2"]


@pytest.mark.parametrize("name", sorted({*TRAINED, *HF, *RERANKERS}))
def test_the_loss_of_a_recipe_falls_in_twenty_steps(name, splade, workplace, tmp_path):
    command = "hf_train" if name in HF else "hf_train_reranker" if name in RERANKERS else "train"
    splade(command, f"config.checkpoint_dir={tmp_path}", *settings(name), cwd=workplace, SPLADE_CONFIG_NAME=name)
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == LONGER.get(name, STEPS)
    quarter = len(losses) // 4
    assert sum(losses[-quarter:]) < sum(losses[:quarter])
    assert (tmp_path / "model" / "config.json").is_file()
    assert name in RERANKERS or (tmp_path / "model" / "splade.json").is_file()
    assert (tmp_path / "config.yaml").is_file()
