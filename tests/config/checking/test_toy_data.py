"""The toy data where nobody asked for them: told in the first line of a command whose model or data somebody named."""

import logging
import sys

import pytest
from omegaconf import OmegaConf

from splade.config import command
from splade.config.checking.toy_data import toy_by_default
from splade.config.checking.validate import wire
from splade.config.checking.wiring import values_of
from splade.config.composing.choose import choose, toy_dir
from splade.config.composing.compose import compose, parse_overrides
from splade.config.execution import commands, configure, needs_of

MODEL = "init_dict.model_type_or_dir=MODEL"


def told(name, *overrides, env=None, config_dir=None, config_name=None):
    choice = choose(env or {}, config_name, config_dir)
    cfg = wire(compose(choice, overrides))
    writes = commands()[name].get("writes", [])
    return toy_by_default(cfg, choice, parse_overrides(overrides), needs_of(name, cfg), writes)


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("name", "overrides", "address"),
    [
        ("index", [MODEL, "config.pretrained_no_yamlconfig=true"], "data.COLLECTION_PATH"),
        ("index", ["config.checkpoint_dir=mine"], "data.COLLECTION_PATH"),
        ("retrieve", ["config.index_dir=mine"], "data.Q_COLLECTION_PATH, data.EVAL_QREL_PATH"),
        ("train", [MODEL], "data.TRAIN_DATA_DIR"),
        ("train", ["model=decoder_lora", "init_dict.model_type_or_dir=LLM"], "data.TRAIN_DATA_DIR"),
        ("train", ["train/model=distilbert"], "data.TRAIN_DATA_DIR"),
        ("train", ["data.TRAIN_DATA_DIR=mine"], "data.VALIDATION_FULL_RANKING.D_COLLECTION_PATH"),
        ("all", ["data.COLLECTION_PATH=mine", "train/data=toy"], "data.VALIDATION_FULL_RANKING.D_COLLECTION_PATH"),
        ("retrieve", ["data.Q_VECTORS_PATH=[mine.jsonl]"], "data.EVAL_QREL_PATH"),
        ("idf", [MODEL, "init_dict.idf=i.json"], "data.COLLECTION_PATH"),
    ],
)
def test_a_command_for_other_models_or_data_says_which_data_are_still_the_toy_data(name, overrides, address):
    sentence = told(name, *overrides)
    assert sentence.startswith("THE TOY DATA THAT COME WITH SPLADE ARE IN USE")
    assert f"no other data are named at {address}" in sentence


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("all", []),
        ("all", ["config.checkpoint_dir=a", "config.index_dir=b", "config.out_dir=c"]),  # the quick start
        ("index", []),
        ("index", [MODEL, "data.COLLECTION_PATH=mine"]),
        ("index", [MODEL, "index=toy"]),
        ("index", [MODEL, f"data.COLLECTION_PATH={toy_dir()}/collection"]),
        ("index", ["data.VECTORS_PATH=docs.jsonl"]),
        ("train", [MODEL, "train/data=toy_pairs", "validation=none"]),
        ("train", ["train/model=toy"]),
        ("train", ["config.lr=1e-4"]),
        ("train", ["data.type=triplets"]),
    ],
)
def test_the_quick_start_and_data_that_somebody_named_are_passed_over(name, overrides):
    assert told(name, *overrides) is None


def test_a_shipped_toy_config_says_so_in_its_name():
    assert told("distil", MODEL, env={"SPLADE_CONFIG_NAME": "config_distil_toy"}) is None


def test_a_saved_config_names_its_checkpoint(tmp_path):
    cfg = configure("train", [MODEL, "data.TRAIN_DATA_DIR=mine", "validation=none", "config.checkpoint_dir=ck"])
    OmegaConf.save(OmegaConf.create(values_of(cfg)), tmp_path / "config.yaml")
    saved = {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "config.yaml")}
    assert "named at data.COLLECTION_PATH, and the config has config.checkpoint_dir=ck" in told("index", env=saved)
    assert told("index", "data.COLLECTION_PATH=mine", env=saved) is None
    assert told("train", env=saved) is None


def test_a_config_of_ones_own_with_the_defaults_data_is_told(tmp_path):
    (tmp_path / "config_mine.yaml").write_text(
        "defaults: [config_default, _self_]\ninit_dict: {model_type_or_dir: MODEL}\n"
    )
    sentence = told("train", config_dir=str(tmp_path), config_name="config_mine")
    assert "data.TRAIN_DATA_DIR" in sentence
    assert "the config has init_dict.model_type_or_dir=MODEL" in sentence


def index(cfg):
    logging.getLogger("splade").info("the work begins")


def test_it_is_the_first_line_of_the_command(monkeypatch, caplog):
    index.__module__ = "splade.index"
    monkeypatch.setattr(sys, "argv", ["splade", MODEL, "config.pretrained_no_yamlconfig=true"])
    with caplog.at_level(logging.INFO):
        command(index)()
    first, then = caplog.records
    assert (first.levelname, then.message) == ("WARNING", "the work begins")
    assert first.message.startswith("splade index: THE TOY DATA")
