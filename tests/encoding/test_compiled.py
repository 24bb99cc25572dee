"""Encoding through torch.compile: the same vectors whatever the lengths, and words where it cannot be had."""

import logging

import pytest
import torch

from splade.encoding import Encoder
from splade.models import Dense, Splade
from splade.records import Text
from tests.encoding.test_encoder import dense
from tests.tiny import tiny_decoder, tiny_mlm

TEXTS = [Text(str(n), " ".join(["the heat of the sun"] * (n % 5) + ["bee"] * (n % 3))) for n in range(24)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Splade(tiny_mlm(tmp_path_factory.mktemp("mlm")), max_length=32)


def vectors(model, **options):
    return dense(Encoder(model, "document", batch_size=5, device="cpu", **options).encode_all(TEXTS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arch", ["bert", "modernbert", "llama"])
def test_compiled_vectors_are_those_of_the_model_as_it_is(arch, tmp_path, caplog):
    folder = tiny_decoder(tmp_path) if arch == "llama" else tiny_mlm(tmp_path, arch=arch)
    model = Splade(folder, max_length=32)
    with caplog.at_level(logging.WARNING, logger="splade"):
        found = vectors(model, compile=True)
    assert "cannot be used" not in caplog.text
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(vectors(model)), atol=1e-4, rtol=1e-4)


def test_the_compiled_transformer_is_the_one_that_is_called_and_texts_come_padded(model, monkeypatch):
    calls = []

    def counted(base, dynamic):
        assert dynamic

        def call(**given):
            calls.append(tuple(given["input_ids"].shape))
            return base(**given)

        return call

    monkeypatch.setattr(torch, "compile", counted)
    found = vectors(model, compile=True)
    assert len(set(calls)) > 2  # batches of texts, in several shapes
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(vectors(model)), atol=1e-5, rtol=1e-5)
    assert model.encoders["document"].backbone is None


@pytest.mark.parametrize("when", ["at once", "in the first call"])
def test_where_it_cannot_be_had_that_is_said_once_and_vectors_are_as_ever(model, when, monkeypatch, caplog):
    from torch._dynamo.exc import TorchDynamoException

    def failing(*_, **__):
        raise TorchDynamoException("no working C++ compiler\nand more")

    monkeypatch.setattr(torch, "compile", failing if when == "at once" else lambda *_, **__: failing)
    with caplog.at_level(logging.WARNING, logger="splade"):
        found = vectors(model, compile=True)
    assert caplog.text.count("torch.compile cannot be used here (no working C++ compiler)") == 1
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(vectors(model)), atol=1e-5, rtol=1e-5)


def test_errors_of_the_model_itself_are_not_taken_for_those_of_the_compiler(model, monkeypatch):
    def failing(**_):
        raise ValueError("of the model")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: failing)
    with pytest.raises(ValueError, match="of the model"):
        vectors(model, compile=True)


def test_a_side_without_a_language_model_says_that_there_is_nothing_to_compile(tmp_path, caplog):
    Encoder(Dense(tiny_mlm(tmp_path)), "document", compile=True)
    assert "no language model to compile" in caplog.text
