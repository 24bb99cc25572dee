"""Packed texts through transformers against the same texts padded."""

import pytest
import torch

from splade.models import Splade
from splade.models.backbones import attention
from splade.models.backbones.buckets import packed_buckets
from splade.models.backbones.packed import Run
from splade.models.encoders import mlm as encoders
from tests.models.support import TEXTS, tokens
from tests.tiny import ARCHITECTURES, tiny_mlm

# a text longer than ModernBERT's window, ones of equal length, one of no tokens, one of a single token
MIXED = (*TEXTS, "a bridge over the river " * 20, "", "honey bees make", "x", "king")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request, tmp_path_factory):
    return Splade(str(tiny_mlm(tmp_path_factory.mktemp("mlm"), arch=request.param)), max_length=256)


def both(model, ids, mask, monkeypatch):
    """Vectors and gradients, packed and padded."""
    found = []
    base = model.encoders["document"].mlm.base_model
    assert attention.takes_packed(base, torch.device("cpu"))
    for packs in (True, False):
        monkeypatch.setattr(encoders, "takes_packed", lambda *_, packs=packs: packs)
        model.zero_grad()
        weights = model("document", ids, mask)
        weights.square().sum().backward()
        found.append((weights.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
    return found


def test_packed_texts_give_the_vectors_and_gradients_of_padded_ones(model, monkeypatch):
    ids, mask = tokens(model, MIXED)
    mask[5] = 0
    mask[7] = torch.tensor([1] + [0] * (mask.shape[1] - 1))
    (packed, of_packed), (padded, of_padded) = both(model, ids, mask, monkeypatch)
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-5)
    assert (packed[[0, 1, 4]] > 0).any(dim=1).all()
    assert not packed[5].any()
    assert of_packed.keys() == of_padded.keys()
    for name, gradient in of_padded.items():
        torch.testing.assert_close(of_packed[name], gradient, atol=1e-4, rtol=1e-4)


def test_holes_in_the_mask_are_attended_to_by_nobody_either_way(model, monkeypatch):
    ids, mask = tokens(model, TEXTS)
    mask[1, 3] = 0
    mask[0, 0] = 0
    (packed, _), (padded, _) = both(model, ids, mask, monkeypatch)
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-5)


def test_a_text_is_not_changed_by_those_packed_beside_it(model):
    with torch.inference_mode():
        together = model("document", *tokens(model, TEXTS))
        for row, text in zip(together, TEXTS, strict=True):
            torch.testing.assert_close(row, model("document", *tokens(model, [text]))[0], atol=1e-5, rtol=1e-5)


def test_the_model_attends_as_before_afterwards(model):
    config = model.encoders["document"].mlm.config
    ids, mask = tokens(model, TEXTS)
    model("document", ids, mask)
    assert config._attn_implementation == "sdpa"
    with pytest.raises(IndexError):
        model("document", ids + 10**6, mask)
    assert config._attn_implementation == "sdpa"


def test_a_model_set_to_another_attention_is_left_to_it(model):
    base = model.encoders["document"].mlm.base_model
    base.config._attn_implementation = "eager"
    assert not attention.takes_packed(base, torch.device("cpu"))
    base.config._attn_implementation = "sdpa"
    assert not attention.takes_packed(base, torch.device("cuda"))


def test_runs_are_neighbours_of_one_length():
    assert attention.runs_of([5, 5, 3, 2, 2, 2]) == [Run(0, 2, 5), Run(2, 1, 3), Run(3, 3, 2)]


def test_packed_buckets_hold_so_many_tokens_and_every_text_once():
    buckets = packed_buckets([3, 9, 1, 4, 4, 12], 10)
    assert [bucket.tolist() for bucket in buckets] == [[5], [1], [3, 4], [0, 2]]
    assert packed_buckets([], 10) == []
