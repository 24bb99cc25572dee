"""The shipped files: comments, groups, published values."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from splade.config import choose, commands, compose, conf_dir, config_names
from splade.config.checking.wiring import wired_names
from splade.config.composing.compose import Groups
from tests.config.support import configured
from tests.sampled import sampled

ROOT = Path(__file__).parents[2]
NAMES = config_names(conf_dir())


@pytest.mark.parametrize("name", NAMES)
def test_every_config_says_what_it_reproduces_and_how_it_is_launched(name):
    text = (conf_dir() / f"{name}.yaml").read_text()
    comments = text[: text.index("defaults:")]
    assert name in comments or name == "config_default"
    for word in ("Hardware:", "Launch:", "One override:", "-m splade."):
        assert word in comments
    assert "Published" in comments or "No published figure" in comments


@pytest.mark.thinned(3)
@pytest.mark.parametrize("group", sampled(Groups([conf_dir()]).names(), "loss", "engine", "retrieve_evaluate"))
def test_every_option_of_every_group_composes(group):
    for option in Groups([conf_dir()]).options(group):
        assert compose(choose({}), [f"{group}={option}"])


@pytest.mark.parametrize("name", NAMES)
def test_a_config_leaves_to_groups_what_groups_set(name):
    own = OmegaConf.load(conf_dir() / f"{name}.yaml")
    replaced = set()
    for group in ("loss", "regularizer", "train/model", "retrieve_evaluate", "index", "flops", "validation"):
        if any(group in str(entry) for entry in own.defaults):
            replaced |= Groups([conf_dir()]).addresses(group)
    mine = {f"{top}.{key}" for top in own if top != "defaults" for key in own[top]}
    assert mine & replaced == set()


@pytest.mark.parametrize(
    ("name", "lambda_q", "lambda_d", "steps"),
    [
        ("config_default", 1e-2, 1e-2, 100),
        ("config_splade", 3e-4, 1e-4, 50_000),
        ("config_splade++_max", 3e-4, 1e-4, 50_000),
        ("config_splade++_msedistil", 0.5, 0.4, 50_000),
        ("config_splade++_selfdistil", 0.5, 0.4, 50_000),
        ("config_splade++_ensembledistil", 0.1, 0.08, 50_000),
        ("config_splade++_cocondenser_selfdistil", 0.5, 0.4, 50_000),
        ("config_splade++_cocondenser_ensembledistil", 0.5, 0.4, 50_000),
        ("config_splade++_cocondenser_ensembledistil_monogpu", 0.5, 0.4, 50_000),
    ],
)
def test_published_flops_weights(name, lambda_q, lambda_d, steps):
    flops = compose(choose({"SPLADE_CONFIG_NAME": name})).config.regularizer.FLOPS
    assert (flops.lambda_q, flops.lambda_d, flops.T) == (lambda_q, lambda_d, steps)


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("name", "l1_q", "flops_d", "steps"),
    [
        ("efficient_splade/config_V_large", 5e-4, 5e-4, 50_000),
        ("efficient_splade/config_V_medium", 5e-3, 5e-4, 50_000),
        ("efficient_splade/config_V_small", 5e-3, 5e-3, 50_000),
        ("efficient_splade/config_BT_VI_large", 5e-4, 5e-4, 50_000),
        ("efficient_splade/config_BT_VI_medium", 5e-3, 5e-4, 50_000),
        ("efficient_splade/config_BT_VI_small", 5e-3, 5e-3, 50_000),
        ("efficient_splade/config_VI_doc_medium", None, 5e-4, 10_000),
        ("efficient_splade/config_VI_doc_small", None, 5e-3, 10_000),
        ("config_hf_splade_l1q", 5e-3, 5e-3, 50_000),
        ("config_hf_splade_sigir23_32neg_distil", 5e-3, 5e-3, 50_000),
        ("config_splade_v3", 0.01, 0.02, 30_000),
        ("config_splade_v3_doc", None, 0.02, 30_000),
    ],
)
def test_published_l1_and_flops_weights(name, l1_q, flops_d, steps):
    regularizer = compose(choose({"SPLADE_CONFIG_NAME": name})).config.regularizer
    assert OmegaConf.select(regularizer, "L1.lambda_q") == l1_q
    assert (regularizer.FLOPS.lambda_d, regularizer.FLOPS.T) == (flops_d, steps)
    assert "lambda_q" not in regularizer.FLOPS


def test_the_main_recipe_has_its_published_values():
    trainer = configured(name="config_splade++_max").trainer
    values = (trainer.lr, trainer.weight_decay, trainer.warmup_steps, trainer.nb_iterations, trainer.train_batch_size)
    assert values == (2e-5, 0.01, 6000, 150_000, 128)
    assert (trainer.record_frequency, trainer.in_batch_negatives, trainer.monitoring_ckpt) == (10_000, True, "MRR@10")


@pytest.mark.parametrize(
    ("name", "penalty", "settings"),
    [
        ("config_inference_free_l0", "masked_FLOPS", {"lambda_d": 0.08, "T": 40_000, "threshold": 150}),
        ("config_li_lsr", "L1", {"lambda_d": 5e-4, "T": 50_000}),
        ("config_df_flops", "DF_FLOPS", {"every": 100, "alpha": 0.1}),
    ],
)
def test_a_recipe_without_a_query_encoder_penalises_documents_alone(name, penalty, settings):
    regularizer = compose(choose({"SPLADE_CONFIG_NAME": name})).config.regularizer
    assert list(regularizer) == [penalty]
    assert "lambda_q" not in regularizer[penalty]
    assert dict(regularizer[penalty]).items() >= settings.items()


def test_the_inference_free_recipe_has_its_published_values():
    cfg = configured(name="config_inference_free_l0", command="hf_train")
    assert cfg.loss._target_ == "splade.losses.KlDiv"
    assert (cfg.examples.n_negatives, cfg.trainer.max_steps, cfg.trainer.trainer.lr) == (1, 100_000, 2e-5)
    assert (cfg.model._target_, cfg.model.activation) == ("splade.models.SpladeIdf", "log1p_log1p_relu")
    written = configured(name="config_inference_free_l0", command="idf")
    assert written.idf.path == cfg.model.idf


@pytest.mark.parametrize("size", ["1b", "8b"])
def test_decoder_recipes_take_32_queries_15_negatives_and_all_documents_of_the_batch(size):
    cfg = configured(name=f"config_llm_{size}", command="hf_train")
    assert (cfg.loss._target_, cfg.loss.in_batch) == ("splade.losses.Contrastive", True)
    assert (cfg.examples.n_negatives, 8 * cfg.trainer.per_device_train_batch_size) == (15, 32)
    assert (cfg.model.attention, cfg.model.lower_case, cfg.model.lora.r) == ("bidirectional", True, 16)


def test_mid_training_hides_fifteen_in_a_hundred_tokens_and_penalises_documents():
    cfg = configured(name="config_mid_training", command="train")
    assert (cfg.loss._target_, cfg.loss.probability) == ("splade.losses.MaskedLanguageModel", 0.15)
    assert (cfg.examples._target_, cfg.examples.documents) == ("splade.data.Texts", "data/msmarco/full_collection")
    assert list(cfg.config.regularizer) == ["FLOPS"]
    assert "lambda_q" not in cfg.config.regularizer.FLOPS


def test_without_distillation_means_without_a_teacher():
    for kind in ("splade", "dense"):
        cfg = configured(name=f"config_hf_{kind}_sigir23_32neg_nodistil", command="hf_train")
        assert cfg.loss._target_ == "splade.losses.Contrastive"
        assert (cfg.examples.n_negatives, cfg.trainer.per_device_train_batch_size) == (32, 5)
        distilled = configured(name=f"config_hf_{kind}_sigir23_32neg_distil", command="hf_train")
        assert distilled.loss._target_ == "splade.losses.kldiv_contrastive_with_weights"


def test_inference_needs_no_training_settings():
    cfg = configured(name="efficient_splade/config_V_from_huggingface", command="retrieve")
    assert (cfg.checkpoint.pretrained, cfg.model.model_type_or_dir_q) == (True, "naver/efficient-splade-V-large-query")


def test_every_command_needs_nodes_that_are_wired():
    for row in commands().values():
        assert {need.split(".")[0] for need in row.get("needs", [])} <= set(wired_names())
