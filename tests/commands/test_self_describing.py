"""A folder that describes itself is used by its own lengths, prompts and pooling, unless the user names others."""

import json
import shutil

import pytest

from splade.config import configure
from splade.files import InputError
from splade.models import Splade, SpladeTopK, save_retriever
from splade.models.backbones import loading
from splade.workflow.model_loading import retriever_from
from tests.tiny import tiny_mlm

MODELS = "sentence_transformers.sparse_encoder.models"
PRETRAINED = "config.pretrained_no_yamlconfig=true"


@pytest.fixture(scope="module")
def mlm(tmp_path_factory):
    return tiny_mlm(tmp_path_factory.mktemp("mlm"), hidden=16, layers=1)


@pytest.fixture(scope="module")
def theirs(mlm, tmp_path_factory):
    """A SparseEncoder folder of 300 tokens, pooled by a sum, with a prompt for queries."""
    root = tmp_path_factory.mktemp("theirs") / "model"
    shutil.copytree(mlm, root)
    modules = [("", f"{MODELS}.MLMTransformer"), ("1_SpladePooling", f"{MODELS}.SpladePooling")]
    named = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (path, kind) in enumerate(modules)]
    (root / "1_SpladePooling").mkdir()
    pooling = {"pooling_strategy": "sum", "activation_function": "relu"}
    for name, value in {
        "modules.json": named,
        "1_SpladePooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": 300},
        "config_sentence_transformers.json": {"model_type": "SparseEncoder", "prompts": {"query": "find "}},
    }.items():
        (root / name).write_text(json.dumps(value))
    return root


@pytest.fixture(scope="module")
def ours(mlm, tmp_path_factory):
    """A trained model of 40 tokens, below a checkpoint folder."""
    checkpoint = tmp_path_factory.mktemp("ours")
    model = SpladeTopK(mlm, agg="sum", max_length=40, prompt_q="find ", prompt_d="text ", top_q=3)
    save_retriever(model, checkpoint / "model")
    return checkpoint


def lengths(model):
    return model.max_length("document"), model.max_length("query")


def used(folder, *overrides, **env):
    named = [f"init_dict.model_type_or_dir={folder}", PRETRAINED, *overrides]
    return retriever_from(configure("index", named, env))


def test_the_published_model_of_the_readme_is_read_to_its_own_length_with_its_own_pooling(theirs, caplog):
    model = used(theirs, "config.index_dir=DIR")
    assert lengths(model) == (300, 300)
    assert (model.settings()["agg"], model.prompt("query")) == ("sum", "find ")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "max_length=300 (config.max_length=128 is not read)" in said[0]
    assert "agg=sum (init_dict.agg=max is not read)" in said[0]


def test_the_same_under_a_hub_name(theirs, monkeypatch):
    monkeypatch.setattr(loading, "snapshot_download", lambda *_args, **_options: str(theirs))
    model = used("someone/published")
    assert (lengths(model), model.settings()["agg"]) == ((300, 300), "sum")


def test_what_the_user_names_holds_and_is_said(theirs, caplog):
    model = used(theirs, "config.max_length=64", "hf.data.prompt_q=''", "+hf.data.prompt_d='text: '")
    assert (lengths(model), model.prompt("query"), model.prompt("document")) == ((64, 64), "", "text: ")
    assert "config.max_length=64 in place of 300" in caplog.text
    assert lengths(used(theirs, "config.max_length_q=32")) == (300, 32)
    assert lengths(used(theirs, "+model.max_length=50")) == (50, 50)
    assert lengths(used(theirs, "train/config=splade")) == (256, 256)


def test_a_config_of_the_users_own_names_too(theirs, tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text("defaults: [/train/config: toy, /train/model: toy, /index: toy, _self_]\nconfig: {max_length: 33}\n")
    where = ("config.index_dir=DIR", "config.checkpoint_dir=DIR")
    model = used(theirs, *where, SPLADE_CONFIG_FULLPATH=str(own))
    assert lengths(model) == (33, 33)


def test_a_trained_folder_keeps_its_own_under_a_config_that_is_not_its(ours, caplog):
    model = retriever_from(configure("index", [f"config.checkpoint_dir={ours}"]))
    assert (type(model), lengths(model), model.prompt("document")) == (SpladeTopK, (40, 40), "text ")
    assert (model.settings()["agg"], model.tops["query"]) == ("sum", 3)
    assert "config.max_length=128 is not read" in caplog.text
    named = configure("index", [f"config.checkpoint_dir={ours}", "config.max_length=20"])
    assert lengths(retriever_from(named)) == (20, 20)


def test_where_nothing_differs_nothing_is_said(mlm, tmp_path, caplog):
    save_retriever(Splade(mlm, max_length=128), tmp_path / "model")
    retriever_from(configure("index", [f"config.checkpoint_dir={tmp_path}"]))
    assert caplog.text == ""


def test_pooling_that_the_weights_were_not_trained_for_is_refused_where_it_is_named(theirs):
    with pytest.raises(InputError, match=r"init_dict\.agg=max, but the model in .* has agg=sum"):
        used(theirs, "init_dict.agg=max")


def test_a_query_encoder_that_is_named_is_used(theirs, tmp_path):
    other = tiny_mlm(tmp_path / "other", hidden=16, layers=1, seed=5)
    assert not used(theirs, f"init_dict.model_type_or_dir_q={other}").shares_encoder
