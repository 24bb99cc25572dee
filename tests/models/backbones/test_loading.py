"""Loading: what is refused and how it is said; the console is left as it was."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from splade.files import InputError
from splade.models import Dense, Splade, load_retriever, save_retriever
from splade.models.backbones import loading
from tests.models.support import TEXTS, vectors
from tests.tiny import tiny_cross_encoder, tiny_mlm, tiny_t5


def test_a_path_that_is_no_folder_is_refused_without_asking_the_hub(monkeypatch):
    monkeypatch.setattr(loading, "snapshot_download", lambda *_args, **_options: pytest.fail("asked the hub"))
    for path in ("/nowhere/at/all", "./nowhere", "~/nowhere/at/all"):
        with pytest.raises(InputError, match="no such model folder"):
            Splade(path)


def test_a_hub_name_that_cannot_be_fetched_is_refused_in_words(monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(loading, "snapshot_download", unreachable)
    with pytest.raises(InputError, match=r"someone/model: there is no local folder .*\(no route to host\)"):
        load_retriever("someone/model")


def test_a_hub_name_is_read_from_the_folder_of_its_download(mlm, monkeypatch):
    asked = []
    monkeypatch.setattr(loading, "snapshot_download", lambda name, **_options: asked.append(name) or str(mlm))
    assert vectors(load_retriever("someone/model"), TEXTS).equal(vectors(Splade(mlm), TEXTS))
    assert set(asked) == {"someone/model"}


def test_a_folder_without_config_or_tokenizer_is_refused(mlm, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no tokenizer here"):
        Splade(tmp_path / "empty")
    with pytest.raises(InputError, match=r"it has no config\.json"):
        Splade(tmp_path / "empty", tokenizer=mlm)


def test_truncated_weights_are_refused(tmp_path):
    folder = tiny_mlm(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded as a masked language model"):
        Splade(folder)


def test_a_model_that_is_no_masked_language_model_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"known head are albert, bert, .*llama, .*modernbert"):
        Splade(tiny_t5(tmp_path))


def test_a_classifiers_weights_have_no_head(tmp_path):
    with pytest.raises(InputError, match="no trained masked-language-model head"):
        Splade(tiny_cross_encoder(tmp_path))


@pytest.mark.parametrize("kind", [Splade, Dense])
def test_missing_weights_of_the_encoder_are_refused_even_with_a_new_head(kind, tmp_path):
    path = tiny_mlm(tmp_path) / "model.safetensors"
    kept = {name: weight for name, weight in load_file(path).items() if "layer.1.attention" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    options = {"head": "new"} if kind is Splade else {}
    with pytest.raises(InputError, match=r"weights of the encoder itself are missing .*layer\.1\.attention.* more\)"):
        kind(tmp_path, **options)


def test_half_precision_files_are_widened(tmp_path):
    path = tiny_mlm(tmp_path) / "model.safetensors"
    save_file({name: weight.half() for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("torch_dtype", None)
    (tmp_path / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    model = Splade(tmp_path)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_loading_prints_nothing_and_leaves_transformers_logging_as_it_was(mlm, encoder, tmp_path, capfd):
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    save_retriever(Splade(mlm), tmp_path / "model")
    Splade(encoder, head="tied_identity")
    with pytest.raises(InputError):
        Splade(encoder)
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_a_dense_encoder_has_no_unused_pooler(mlm):
    model = Dense(mlm)
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]
    assert Path(mlm).is_dir()
