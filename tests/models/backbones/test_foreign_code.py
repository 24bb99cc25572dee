"""A model that comes with code, or with a tokenizer of packages that are not here: told in words, nobody is asked."""

import builtins
import json
import shutil

import pytest

from splade.files import InputError
from splade.models import Dense, Splade
from splade.models.backbones import loading
from splade.models.rerankers import load_reranker
from tests.tiny import tiny_cross_encoder, tiny_mlm


@pytest.fixture
def asked(monkeypatch):
    """Fails where standard input is read."""
    monkeypatch.setattr(builtins, "input", lambda *_args: pytest.fail("asked on standard input"))


def with_code(folder, **classes):
    """``folder`` with a configuration that names classes in Python files beside it."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"model_type": "ownbert", "auto_map": classes}
    path.write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('code of the model was run')\n")
    return folder


CODE = r"comes with code of its own \(auto_map"
CLASSES = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoModelForMaskedLM": "own.Mlm"}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("kind", [Splade, Dense])
def test_a_models_own_code_is_neither_run_nor_asked_about(kind, tmp_path):
    with pytest.raises(InputError, match=CODE):
        kind(with_code(tiny_mlm(tmp_path / "m", hidden=16, layers=1), **CLASSES))


@pytest.mark.usefixtures("asked")
def test_nor_is_a_tokenizers_whose_vocabulary_is_read_without_it(tmp_path):
    folder = tiny_mlm(tmp_path / "m", hidden=16, layers=1)
    path = folder / "tokenizer_config.json"
    auto = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | auto))
    (folder / "own.py").write_text("raise SystemExit('code of the model was run')\n")
    assert Splade(folder).tokenizer("query").tokenize("the King") == ["the", "king"]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("kind", ["cross_encoder", "pairwise_prompt"])
def test_nor_is_a_rerankers(kind, tmp_path):
    folder = with_code(tiny_cross_encoder(tmp_path / "m", hidden=16, layers=1), **CLASSES)
    with pytest.raises(InputError, match=CODE):
        load_reranker(str(folder), kind)


@pytest.mark.parametrize("name", ["sentencepiece.bpe.model", "spiece.model"])
def test_a_tokenizer_of_sentencepiece_alone_names_the_packages_that_read_it(name, tmp_path, monkeypatch):
    folder = tmp_path / "m"
    shutil.copytree(tiny_mlm(tmp_path / "whole", arch="xlm-roberta", hidden=16, layers=1), folder)
    (folder / "tokenizer.json").unlink()
    (folder / name).write_bytes(b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    monkeypatch.setattr(loading, "_installed", lambda package: package != "sentencepiece")
    with pytest.raises(InputError, match=rf"is {name} alone.*pip install sentencepiece, or save a tokenizer\.json"):
        Splade(folder)
    monkeypatch.setattr(loading, "_installed", lambda _package: False)
    with pytest.raises(InputError, match="pip install sentencepiece protobuf"):
        load_reranker(str(folder), "cross_encoder")
