"""Every shipped recipe as it is, tiny models under the names it gives: the loss falls in twenty steps."""

import json

import pytest

from tests.commands.test_every_config import HF, RERANKERS, TRAINED

STEPS = 20
RATE, BATCH = "1e-2", 6  # published rates are for models that have learned already
OWN = {"config_hf_dense_sigir23_32neg_nodistil": ("3e-2", 8), "config_reranker_train_toy": ("1e-2", 48)}
"""Rate and batch of what begins late: a dense model in 16 dimensions that meets all twelve passages as negatives, and
a cross-encoder from a fresh head."""
TOY = {"config_default", *(name for name in TRAINED if "toy" in name)}  # from an encoder that knows the toy texts

SLOW = {
    "config_default", "config_mid_training_toy", "config_reranker_train_toy", "config_llm_1b", "config_splade_v3_doc",
    "config_hf_splade_l1q", "config_splade++_cocondenser_ensembledistil", "config_splade_v3_lexical",
    "efficient_splade/config_V_small", "config_splade++_max", "efficient_splade/config_VI_doc_small",
    "config_hf_dense_sigir23_32neg_distil", "config_hf_splade_sigir23_32neg_distil", "config_hf_toy", "config_llm_8b",
    "config_hf_splade_sigir23_32neg_nodistil", "config_mid_training", "config_rerank_train_T5_3b", "config_splade",
    "config_splade++_cocondenser_ensembledistil_monogpu", "config_splade++_cocondenser_selfdistil",
    "config_splade++_ensembledistil", "config_splade++_msedistil", "config_splade++_selfdistil",
    "config_splade_v3_distilbert", "efficient_splade/config_BT_VI_large", "efficient_splade/config_BT_VI_medium",
    "config_hf_dense_sigir23_32neg_nodistil", "efficient_splade/config_BT_VI_small",
    "config_inference_free_l0", "config_df_flops", "config_li_lsr",
    "efficient_splade/config_VI_doc_medium", "efficient_splade/config_V_large", "efficient_splade/config_V_medium",
}  # fmt: skip
"""Recipes that differ from another one in sizes and names alone, for tiny models in nothing; those of the toy data; and
those whose model, loss and penalties other tests train."""


def settings(name: str) -> list[str]:
    """Little data, all of it in each step, and a high rate; the rest is the recipe's."""
    rate, batch = OWN.get(name, (RATE, BATCH))
    if name in HF:
        return [
            f"hf.training.max_steps={STEPS}", f"hf.training.save_steps={STEPS}", f"hf.training.learning_rate={rate}",
            f"hf.training.per_device_train_batch_size={batch}", "hf.training.warmup_ratio=0",
            "hf.training.warmup_steps=1", "hf.training.logging_steps=1", "data.VALIDATION_SIZE_FOR_LOSS=2",
            *(["init_dict.model_type_or_dir=MODEL"] if "toy" in name else []),  # it does not know the toy texts
        ]  # fmt: skip
    given = [f"config.nb_iterations={STEPS}", "config.train_monitoring_freq=1"]
    if name not in TOY:
        given += [f"config.lr={rate}", f"config.train_batch_size={batch}", "config.warmup_steps=1"]
    if name in RERANKERS:
        return [*given, "train/data=distil_from_ensemble"]
    given += [f"config.record_frequency={STEPS}"]
    return given if name == "config_default" else [*given, "data.VALIDATION_SIZE_FOR_LOSS=2"]


RECIPES = sorted({*TRAINED, *HF, *RERANKERS})
assert set(RECIPES) > SLOW


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RECIPES])
def test_the_loss_of_a_recipe_falls_in_twenty_steps(name, splade, workplace, tmp_path):
    command = "hf_train" if name in HF else "hf_train_reranker" if name in RERANKERS else "train"
    splade(command, f"config.checkpoint_dir={tmp_path}", *settings(name), cwd=workplace, SPLADE_CONFIG_NAME=name)
    rows = [json.loads(line) for line in (tmp_path / "training_log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == STEPS
    quarter = len(losses) // 4
    assert sum(losses[-quarter:]) < sum(losses[:quarter])
    assert (tmp_path / "model" / "config.json").is_file()
    assert name in RERANKERS or (tmp_path / "model" / "splade.json").is_file()
    assert (tmp_path / "config.yaml").is_file()
