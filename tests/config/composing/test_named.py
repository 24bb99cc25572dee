"""Which settings the user named: the command line's, and those of a config of their own."""

from splade.config import configure, save_config
from tests.config.support import configured, refusal

OWN = """\
defaults:
  - /train/config: toy
  - /train/model: mine
  - /index: toy
  - _self_
config: {checkpoint_dir: c, index_dir: i, max_length: 99}
"""
MODEL = """\
# @package _global_
init_dict: {model_type_or_dir: M, agg: sum}
config: {matching_type: splade}
"""


def test_a_shipped_config_names_nothing_and_the_command_line_does():
    assert list(configured().named) == []
    cfg = configured("config.max_length=64", "+init_dict={agg: sum, activation: relu}", "hf.data.prompt_q='a b'")
    assert list(cfg.named) == ["config.max_length", "hf.data.prompt_q", "init_dict.activation", "init_dict.agg"]
    assert list(configured("~config.early_stopping").named) == []


def test_an_option_that_the_command_line_chooses_names_what_it_sets():
    assert list(configured("model=splade_topk").named) == ["config.matching_type", "init_dict.top_d", "init_dict.top_q"]


def test_a_config_of_the_users_names_what_it_sets_and_not_what_its_shipped_groups_set(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN)
    (tmp_path / "train" / "model").mkdir(parents=True)
    (tmp_path / "train" / "model" / "mine.yaml").write_text(MODEL)
    env = {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "mine.yaml")}
    assert list(configure("index", ["config.index_dir=j"], env).named) == [
        "config.checkpoint_dir", "config.index_dir", "config.matching_type", "config.max_length", "init_dict.agg",
        "init_dict.model_type_or_dir",
    ]  # fmt: skip


def test_a_saved_config_speaks_of_the_model_that_it_names_alone(tmp_path):
    save_config(configured(), tmp_path / "config.yaml")
    env = {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "config.yaml")}
    assert "config.max_length" in configure("index", [], env).named
    assert list(configure("index", ["config.checkpoint_dir=other"], env).named) == ["config.checkpoint_dir"]


def test_what_was_named_is_not_for_a_config_to_say():
    assert "named is not for a config to change" in refusal("+named=[config.max_length]")
