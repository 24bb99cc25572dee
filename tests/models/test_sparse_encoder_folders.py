"""Folders in the layout of Sentence Transformers' SparseEncoder, written by hand from its description."""

import json
import math
import shutil

import pytest
import torch

from splade.files import InputError
from splade.models import Splade, SpladeTopK, load_retriever
from tests.models.support import TEXTS, vectors

V5 = (
    "sentence_transformers.sparse_encoder.models.MLMTransformer",
    "sentence_transformers.sparse_encoder.models.SpladePooling",
)
V6 = (
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
)


@pytest.fixture
def folder(mlm, tmp_path):
    """A writable version 5 folder."""
    root = tmp_path / "sparse-encoder"
    shutil.copytree(mlm, root)
    (root / "1_SpladePooling").mkdir()
    write(root, "modules.json", modules(*V5))
    write(root, "1_SpladePooling/config.json", {"pooling_strategy": "max", "activation_function": "relu"})
    write(root, "sentence_bert_config.json", {"max_seq_length": 77, "do_lower_case": False})
    prompts = {"query": "", "document": ""}
    write(root, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "prompts": prompts})
    return root


def modules(transformer, pooling):
    return [
        {"idx": 0, "name": "0", "path": "", "type": transformer},
        {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": pooling},
    ]


def write(root, name, value):
    (root / name).write_text(json.dumps(value))


@pytest.mark.parametrize("types", [V5, V6], ids=["v5", "v6"])
def test_the_usual_folder_is_a_splade_of_its_length(folder, mlm, types):
    write(folder, "modules.json", modules(*types))
    model = load_retriever(folder)
    assert type(model) is Splade
    assert model.max_length("query") == model.max_length("document") == 77
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))


def test_pooling_and_activation_are_read_and_a_log_is_taken_after_the_named_function(folder, mlm):
    write(folder, "1_SpladePooling/config.json", {"pooling_strategy": "max", "activation_function": "log1p_relu"})
    flat = vectors(load_retriever(folder), TEXTS)
    assert flat.equal(torch.log1p(vectors(Splade(mlm), TEXTS)))
    assert flat.max() < math.log1p(vectors(Splade(mlm), TEXTS).max()) + 1e-6
    write(folder, "1_SpladePooling/config.json", {"pooling_strategy": "sum", "activation_function": "relu"})
    assert vectors(load_retriever(folder), TEXTS).equal(vectors(Splade(mlm, agg="sum"), TEXTS))


def test_prompts_of_the_sides_are_read(folder):
    prompts = {"prompts": {"query": "find the ", "document": ""}}
    write(folder, "config_sentence_transformers.json", prompts)
    model = load_retriever(folder)
    assert (model.prompt("query"), model.prompt("document")) == ("find the ", "")


def test_a_limit_on_active_terms_becomes_a_top_k(folder):
    write(folder, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "max_active_dims": 6})
    model = load_retriever(folder)
    assert type(model) is SpladeTopK
    assert (vectors(model, TEXTS) > 0).sum(dim=1).max() == 6


def test_without_a_length_the_tokenizers_and_the_models_hold(folder):
    (folder / "sentence_bert_config.json").unlink()
    assert load_retriever(folder).max_length("document") == 512


def test_a_saved_one_is_a_folder_of_ours(folder, tmp_path):
    model = load_retriever(folder)
    model.save_pretrained(tmp_path / "model")
    assert load_retriever(tmp_path / "model").fingerprint() == model.fingerprint()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("modules.json", modules("sentence_transformers.models.Router", "X"), "holds Router then X; only a masked"),
        ("modules.json", {"idx": 0}, "not a list of modules"),
        ("1_SpladePooling/config.json", {"activation_function": "gelu"}, "activation_function 'gelu' is not one of"),
        ("1_SpladePooling/config.json", [1], "expected a JSON object, found list"),
        (
            "config_sentence_transformers.json",
            {"prompts": {"clue": "find: "}, "default_prompt_name": "clue"},
            r"puts the prompt 'clue' before texts of either side",
        ),
    ],
)
def test_what_would_give_other_vectors_is_refused(folder, name, value, message):
    write(folder, name, value)
    with pytest.raises(InputError, match=message):
        load_retriever(folder)
