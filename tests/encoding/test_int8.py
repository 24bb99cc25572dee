"""8-bit products: near the exact ones, only where they are fast, and what they cost is told."""

import numpy as np
import torch
from torch import nn

from splade.encoding import Encoder, precision
from splade.models import Splade
from splade.models.backbones.int8 import Int8Linear, in_int8
from tests.encoding.test_encoder import TEXTS, dense
from tests.tiny import tiny_mlm


def test_a_layer_is_off_by_half_a_step_of_each_factor_at_most():
    torch.manual_seed(0)
    linear, states = nn.Linear(32, 48), torch.randn(3, 5, 32)
    with torch.inference_mode():
        exact, found = linear(states), Int8Linear(linear)(states)
    steps = states.abs().amax(dim=-1, keepdim=True) / 127  # [3, 5, 1]
    rows = linear.weight.abs().amax(dim=1) / 127  # [48]
    bound = steps / 2 * linear.weight.abs().sum(dim=1) + rows / 2 * states.abs().sum(dim=-1, keepdim=True)
    assert ((found - exact).abs() <= bound + steps * rows * 32 / 4 + 1e-6).all()
    assert found.shape == exact.shape


def test_zeros_stay_zeros_and_a_layer_may_have_no_bias():
    linear = nn.Linear(16, 16, bias=False)
    assert not Int8Linear(linear)(torch.zeros(4, 16)).any()


def test_a_copy_is_made_and_the_model_keeps_its_layers():
    model = nn.Sequential(nn.Linear(16, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 16)))
    copied = in_int8(model)
    assert [type(part) for part in copied.modules() if hasattr(part, "weight")] == [Int8Linear] * 2
    assert [type(part) for part in model.modules() if hasattr(part, "weight")] == [nn.Linear] * 2


def test_vectors_in_int8_are_near_the_exact_ones_and_the_model_is_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset({"avx512_vnni"}))
    model = Splade(str(tiny_mlm(tmp_path / "mlm")), max_length=32)
    before = model.fingerprint()
    exact = Encoder(model, "document", device="cpu").encode_all(TEXTS)
    encoder = Encoder(model, "document", device="cpu", int8=True)
    found = encoder.encode_all(TEXTS)
    assert encoder.precision == "int8"
    assert not np.array_equal(dense(found), dense(exact))
    np.testing.assert_allclose(dense(found), dense(exact), atol=0.15)
    assert model.fingerprint() == before
    again = Encoder(model, "document", device="cpu").encode_all(TEXTS)
    assert np.array_equal(dense(again), dense(exact))


def test_processors_without_fast_8_bit_products_do_without_them(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(precision, "cpu_flags", frozenset)
    encoder = Encoder(Splade(str(tiny_mlm(tmp_path / "mlm"))), "document", device="cpu", int8=True)
    assert encoder.precision == "float32"
    assert "config.int8: there are no fast 8-bit products on cpu" in caplog.text


def test_a_model_with_an_unknown_head_is_not_said_to_be_encoded_in_8_bits(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("splade.encoding.encoder.has_int8", lambda _: True)
    monkeypatch.setattr("splade.models.backbones.layouts.LAYOUTS", {})
    encoder = Encoder(Splade(tiny_mlm(tmp_path)), "document", int8=True)
    assert encoder.precision == "float32"
    assert "config.int8: this model goes through its full logits" in caplog.text
