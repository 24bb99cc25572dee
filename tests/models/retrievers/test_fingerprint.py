"""The fingerprint: alike where document vectors are alike, different where they may differ."""

import re

import pytest
import torch

from splade.models import Dense, Splade, SpladeDoc, SpladeLexical, SpladeTopK
from tests.tiny import tiny_mlm


def test_it_is_32_hexadecimal_digits_and_depends_on_the_model_alone(mlm):
    name = Splade(mlm).fingerprint()
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert Splade(mlm).fingerprint() == name
    assert Splade(mlm).train().fingerprint() == name


def test_the_query_side_does_not_alter_it(mlm, other_mlm):
    name = Splade(mlm).fingerprint()
    two = Splade(mlm, model_type_or_dir_q=other_mlm, freeze_d_model=True, max_length_q=9)
    two.encoders["query"].mlm.get_output_embeddings().bias.data += 1
    assert two.fingerprint() == name
    assert SpladeDoc(mlm).fingerprint() == name


@pytest.mark.parametrize("options", [{"agg": "sum"}, {"activation": "relu"}, {"pool_special_tokens": False}])
def test_settings_of_the_document_side_alter_it(mlm, options):
    assert Splade(mlm, **options).fingerprint() != Splade(mlm).fingerprint()


def test_weights_vocabulary_and_kind_alter_it(mlm, other_mlm, tmp_path):
    changed = Splade(mlm)
    next(changed.parameters()).data.view(-1)[0] += 1e-3
    respelt = tiny_mlm(tmp_path / "respelt", vocab_extra=["zebra"])
    renamed = tiny_mlm(tmp_path / "renamed", vocab_extra=["gnu"])
    models = [
        Splade(mlm),
        changed,
        Splade(other_mlm),
        Splade(respelt),
        Splade(respelt, tokenizer=renamed),
        SpladeLexical(mlm, lexical_type="both"),
        SpladeTopK(mlm, top_d=5),
        Dense(mlm),
    ]
    assert len({model.fingerprint() for model in models}) == len(models)


@pytest.mark.gpu
def test_it_is_the_same_on_a_cuda_device(mlm):
    model = Splade(mlm)
    name = model.fingerprint()
    assert model.to(torch.device("cuda")).fingerprint() == name
