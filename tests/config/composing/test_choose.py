from pathlib import Path

import pytest

from splade.config import ConfigError, choose, conf_dir, config_names, toy_dir


def test_without_a_choice_the_default_config_is_used():
    assert choose({}) == (conf_dir(), "config_default")


@pytest.mark.parametrize("name", ["config_splade", "config_splade.yaml", "efficient_splade/config_V_large.yaml"])
def test_the_environment_names_a_shipped_config_with_or_without_suffix(name):
    assert choose({"SPLADE_CONFIG_NAME": name}).path == conf_dir() / f"{name.removesuffix('.yaml')}.yaml"


def test_the_command_lines_choice_wins_over_the_environments_name():
    assert choose({"SPLADE_CONFIG_NAME": "config_default"}, "config_splade").name == "config_splade"


def test_a_full_path_is_taken_as_it_is_and_a_checkpoint_folder_stands_for_its_config(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("config: {}\n")
    assert choose({"SPLADE_CONFIG_FULLPATH": str(file)}).path == file
    assert choose({"SPLADE_CONFIG_FULLPATH": str(tmp_path)}).path == file


def test_own_configs_are_looked_for_before_the_shipped_ones(tmp_path):
    (tmp_path / "config_splade.yaml").write_text("config: {}\n")
    assert choose({}, "config_splade", str(tmp_path)).directory == tmp_path
    assert choose({}, "config_default", str(tmp_path)).directory == conf_dir()


@pytest.mark.parametrize(
    ("env", "options", "told"),
    [
        ({"SPLADE_CONFIG_NAME": "a", "SPLADE_CONFIG_FULLPATH": "b.yaml"}, {}, "both set"),
        ({"SPLADE_CONFIG_FULLPATH": "b.yaml"}, {"config_name": "a"}, "use one of them"),
        ({"SPLADE_CONFIG_NAME": "config_spladee"}, {}, "did you mean 'config_splade'"),
        ({"SPLADE_CONFIG_NAME": "components"}, {}, "no such config"),
        ({"SPLADE_CONFIG_FULLPATH": "/nowhere/config.yaml"}, {}, "no such file"),
        ({}, {"config_name": "a", "config_dir": "/nowhere"}, "no such folder"),
    ],
)
def test_a_choice_that_cannot_be_made_is_told_in_words(env, options, told):
    with pytest.raises(ConfigError, match=told):
        choose(env, **options)


def test_every_config_of_the_published_table_is_shipped():
    published = """config_default config_splade config_splade++_max config_splade++_msedistil config_splade++_selfdistil
    config_splade++_ensembledistil config_splade++_cocondenser_selfdistil config_splade++_cocondenser_ensembledistil
    config_splade++_cocondenser_ensembledistil_monogpu efficient_splade/config_V_large efficient_splade/config_V_medium
    efficient_splade/config_V_small efficient_splade/config_BT_VI_large efficient_splade/config_BT_VI_medium
    efficient_splade/config_BT_VI_small efficient_splade/config_VI_doc_medium efficient_splade/config_VI_doc_small
    efficient_splade/config_V_from_huggingface config_hf_splade_l1q config_hf_splade_sigir23_32neg_distil
    config_hf_splade_sigir23_32neg_nodistil config_hf_dense_sigir23_32neg_distil config_hf_dense_sigir23_32neg_nodistil
    config_reranker_train_toy config_reranker_toy config_rerank_train_T5_3b config_splade_v3 config_splade_v3_distilbert
    config_splade_v3_lexical config_splade_v3_doc config_distil_toy config_distil_msmarco config_inference_free_l0
    config_li_lsr config_df_flops config_llm_1b config_llm_8b
    config_mid_training config_mid_training_toy config_hf_toy"""
    assert set(published.split()) == set(config_names(conf_dir()))


def test_toy_data_lie_in_the_checkout():
    assert toy_dir() == Path(__file__).parents[3] / "data" / "toy"
