"""Saved configs compose again to what they were."""

import pytest
from omegaconf import OmegaConf

from splade.config import ConfigError, configure, save_config
from tests.config.support import configured

SEVERAL = (
    "config_default", "config_splade++_msedistil", "config_splade_v3_lexical", "config_reranker_toy",
    "config_hf_dense_sigir23_32neg_distil", "efficient_splade/config_V_from_huggingface",
)  # fmt: skip


def again(path, *overrides, command="all"):
    return configure(command, overrides, {"SPLADE_CONFIG_FULLPATH": str(path)})


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", SEVERAL)
def test_a_saved_config_has_the_same_values_and_components_again(name, tmp_path):
    cfg = configured("+model.max_length=77", name=name, command="")
    save_config(cfg, tmp_path / "config.yaml")
    loaded = again(tmp_path / "config.yaml", command="")
    trees = [OmegaConf.to_container(each) for each in (loaded, cfg)]
    for tree in trees:
        del tree["named"]  # neither a value nor a component: who said it, the command line or this file
    assert trees[0] == trees[1]
    assert loaded.model.max_length == 77


def test_a_saved_config_holds_no_wiring_and_no_absolute_toy_paths(tmp_path):
    save_config(configured(), tmp_path / "config.yaml")
    saved = OmegaConf.load(tmp_path / "config.yaml")
    assert set(saved) == {"config", "data", "init_dict"}
    assert "${toy:collection}" in (tmp_path / "config.yaml").read_text()


def test_what_came_from_the_environment_is_saved_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", "here")
    cfg = configured("config.out_dir=${oc.env:WHERE}/out")
    save_config(cfg, tmp_path / "config.yaml")
    monkeypatch.setenv("WHERE", "elsewhere")
    assert again(tmp_path / "config.yaml").retrieve.out_dir == "here/out"


def test_values_and_groups_are_overridden_on_top_of_a_saved_config(tmp_path):
    save_config(configured(), tmp_path / "config.yaml")
    cfg = again(
        tmp_path / "config.yaml", "retrieve_evaluate=msmarco", "config.lr=5e-4", "loss=kl",
        "train/data=toy_with_teacher", "regularizer=flopsd_small", "+quantization_factor_query=7",
    )  # fmt: skip
    assert (cfg.search.top_k, list(cfg.retrieve.names), cfg.trainer.lr) == (1000, ["MSMARCO"], 5e-4)
    assert cfg.trainer.in_batch_negatives is False
    assert "lambda_q" not in cfg.penalties.settings["FLOPS"]
    assert cfg.anserini.quantization_factor_query == 7


def test_published_commands_append_keys_to_a_saved_config_that_has_them(tmp_path):
    # Of no single command: a setting that one command owns is refused by the others.
    appended = configured("+quantization_factor_query=7", "+beir.dataset=scifact", command="")
    save_config(appended, tmp_path / "config.yaml")
    cfg = again(tmp_path / "config.yaml", "+quantization_factor_query=9", "+beir.dataset=fiqa", command="")
    assert (cfg.anserini.quantization_factor_query, cfg.beir.dataset) == (9, "fiqa")


def test_a_misspelt_key_in_a_saved_config_is_found(tmp_path):
    save_config(configured(), tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("augment_pairs", "augment_pair"))
    with pytest.raises(ConfigError, match=r"config.augment_pair: .*config.augment_pairs\?"):
        again(tmp_path / "config.yaml")


def test_a_moved_checkpoint_is_used_where_it_lies(tmp_path):
    folder = tmp_path / "moved"
    save_config(configured(f"config.checkpoint_dir={tmp_path / 'gone'}"), folder / "config.yaml")
    assert again(folder).checkpoint.dir == str(tmp_path / "gone")
    (folder / "model").mkdir()
    assert again(folder).checkpoint.dir == str(folder)
    assert again(folder, "config.checkpoint_dir=mine").checkpoint.dir == "mine"
