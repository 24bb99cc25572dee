"""Dense vectors of unit length: their length, their zero vector, their gradient and their name."""

import hashlib
import json

import pytest
import torch

from splade.models import Dense
from splade.models.retrievers.base import weights_digest
from tests.models.support import TEXTS, tokens, vectors
from tests.tiny import tiny_encoder

NO_TOKENS = torch.tensor([[2, 3], [2, 3]]), torch.tensor([[1, 1], [0, 0]])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_every_vector_is_the_pooled_one_divided_by_its_length(encoder, pooling):
    unit, pooled = (vectors(Dense(encoder, pooling=pooling, normalize=each), TEXTS) for each in (True, False))
    torch.testing.assert_close(unit.norm(dim=1), torch.ones(len(TEXTS)))
    torch.testing.assert_close(unit * pooled.norm(dim=1, keepdim=True), pooled)
    assert pooled.norm(dim=1).min() > 1.5


def test_both_sides_have_unit_length_with_an_encoder_each(encoder, tmp_path):
    other = tiny_encoder(tmp_path, seed=3)
    model = Dense(encoder, model_type_or_dir_q=other, normalize=True)
    for side in ("query", "document"):
        torch.testing.assert_close(vectors(model, TEXTS, side).norm(dim=1), torch.ones(len(TEXTS)))


def test_a_text_without_tokens_stays_the_zero_vector_and_spoils_no_gradient(encoder):
    model = Dense(encoder, normalize=True)
    found = model("document", *NO_TOKENS)
    assert found[1].count_nonzero() == 0
    assert found[0].norm().item() == pytest.approx(1)
    found.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)


def test_the_length_is_taken_in_float32_where_the_transformer_computes_in_bfloat16(encoder):
    model = Dense(encoder, normalize=True, pooling="cls")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = model("document", *tokens(model, TEXTS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(TEXTS)), rtol=1e-6, atol=1e-6)


def test_the_fingerprint_of_dense_models_is_as_it_was_without_it_and_another_with_it(encoder):
    plain, unit = Dense(encoder), Dense(encoder, normalize=True)
    assert plain.document_settings() == {"pooling": "mean"}
    assert Dense(encoder, normalize=False).fingerprint() == plain.fingerprint() == _named_before(plain)
    assert unit.fingerprint() != plain.fingerprint()
    assert Dense(encoder, pooling="cls", normalize=True).fingerprint() != unit.fingerprint()


def _named_before(model):
    """The fingerprint of a dense model by its rule before vectors could have unit length: pooling alone is named."""
    digest = hashlib.sha256(b'{"pooling": "mean"}')
    vocabulary = sorted(model.tokenizer("document").get_vocab().items(), key=lambda item: (item[1], item[0]))
    digest.update(json.dumps(vocabulary).encode())
    return weights_digest(model.encoders["document"].base.named_parameters(), digest)
