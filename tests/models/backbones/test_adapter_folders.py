"""Folders with adapters of peft are merged wherever a model is loaded, or refused in words."""

import builtins
import json
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from splade.files import InputError
from splade.models import Dense, Splade, load_retriever, save_retriever
from splade.models.backbones.lora import save_adapter
from splade.models.rerankers import load_reranker
from tests.models.support import TEXTS, vectors
from tests.tiny import tiny_cross_encoder, tiny_decoder, tiny_mlm


def adapted(folder, targets=("query", "value"), **options):
    """A model over ``folder`` with adapters that change its vectors."""
    model = Splade(folder, lora={"r": 2, "alpha": 8.0, "target_modules": targets}, **options)
    generator = torch.Generator().manual_seed(3)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data.add_(torch.randn(weight.shape, generator=generator), alpha=0.3)
    return model


def save(model, folder):
    """The adapters of ``model`` in ``folder``, as peft keeps them."""
    with tempfile.TemporaryDirectory() as scratch:
        save_adapter(model.encoders["document"].mlm, Path(scratch))
        shutil.copytree(Path(scratch) / "adapter", folder, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def mlm(tmp_path_factory):
    return tiny_mlm(tmp_path_factory.mktemp("mlm"), hidden=16, layers=1)


@pytest.fixture(params=["alone", "beside the weights"])
def folder(request, mlm, tmp_path):
    """Adapters alone, which name their model, and adapters beside the weights of the model."""
    if request.param != "alone":
        shutil.copytree(mlm, tmp_path / "adapter")
    save(adapted(mlm), tmp_path / "adapter")
    return tmp_path / "adapter"


def expected(mlm):
    """Vectors by peft's own layers, unmerged."""
    return vectors(adapted(mlm), TEXTS)


def test_adapters_are_merged_and_all_weights_train(folder, mlm):
    model = load_retriever(folder)
    torch.testing.assert_close(vectors(model, TEXTS), expected(mlm), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(vectors(model, TEXTS), vectors(Splade(mlm), TEXTS), atol=1e-2)
    assert all(weight.requires_grad for weight in model.parameters())
    assert not any("lora_" in name for name, _ in model.named_parameters())


@pytest.mark.thinned(2)
def test_a_merged_model_is_saved_as_a_plain_one_and_takes_new_adapters(folder, mlm, tmp_path):
    save_retriever(load_retriever(folder), tmp_path / "saved")
    torch.testing.assert_close(vectors(load_retriever(tmp_path / "saved"), TEXTS), expected(mlm), atol=1e-4, rtol=1e-4)
    new = Splade(folder, lora={"r": 2, "alpha": 4.0})
    torch.testing.assert_close(vectors(new, TEXTS), expected(mlm), atol=1e-4, rtol=1e-4)


def test_without_peft_the_extra_is_asked_for(folder, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "peft":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"holds adapters \(adapter_config\.json\).*pip install 'splade\[lora\]'"):
        load_retriever(folder)


def test_adapters_of_another_model_or_of_a_part_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"are of another model than .*, loaded as BertModel"):
        Dense(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"target_modules": ["query", "value", "key"]}))
    with pytest.raises(InputError, match="are not complete"):
        load_retriever(folder)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="adapters"):
        load_retriever(folder)


def test_a_model_that_is_not_there_or_not_named_is_told(mlm, tmp_path):
    save(adapted(mlm), tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    nowhere = "base_model_name_or_path: /nowhere/at/all: no such model"
    for named, told in (("/nowhere/at/all", nowhere), (None, "names no base_model_name_or_path")):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": named}))
        with pytest.raises(InputError, match=told):
            load_retriever(tmp_path)


def test_what_changes_no_weights_cannot_be_merged(mlm, tmp_path):
    save(adapted(mlm), tmp_path)
    soft = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 2}
    named = {"base_model_name_or_path": str(mlm)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(soft | named))
    with pytest.raises(InputError, match="cannot be merged into"):
        load_retriever(tmp_path)


def test_a_decoder_with_adapters_keeps_its_attention(tmp_path):
    decoder = tiny_decoder(tmp_path / "decoder", hidden=16, layers=1)
    model = adapted(decoder, ("q_proj", "v_proj"), attention="bidirectional")
    save(model, tmp_path / "adapter")
    merged = Splade(tmp_path / "adapter", attention="bidirectional")
    torch.testing.assert_close(vectors(merged, TEXTS), vectors(model, TEXTS), atol=1e-4, rtol=1e-4)


def test_a_reranker_is_loaded_with_its_adapters_and_the_head_that_was_trained_beside_them(tmp_path):
    plain = tiny_cross_encoder(tmp_path / "plain", hidden=16, layers=1)
    model = AutoModelForSequenceClassification.from_pretrained(plain)
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["query"]), model)
    weights = {f"base_model.model.{name}": value for name, value in get_peft_model_state_dict(model).items()}
    head = {f"base_model.model.classifier.{name}": value for name, value in model.classifier.state_dict().items()}
    head["base_model.model.classifier.bias"] = head["base_model.model.classifier.bias"] + 5
    folder = tmp_path / "adapter"
    LoraConfig(
        r=2, target_modules=["query"], modules_to_save=["classifier"], base_model_name_or_path=str(plain)
    ).save_pretrained(folder)
    save_file(weights | head, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    pairs = [("the king", "bees make honey")]
    before, after = (load_reranker(str(each), "cross_encoder").score(pairs, 1) for each in (plain, folder))
    torch.testing.assert_close(after, before + 5)
