"""Maxima found in bfloat16 and computed in float32: those of float32, whatever the numbers are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.models.backbones.packed import Packed, blocks
from splade.models.heads import max_pooling, screening
from splade.models.heads.fused_head import splade_head
from tests.models.heads.test_fused_head import LENGTHS, case


@pytest.fixture
def forced(monkeypatch):
    """Screening for however few logits, on any processor."""
    monkeypatch.setattr(screening, "WORTH", 0)
    monkeypatch.setattr(screening, "is_fast", lambda: True)


def packed(seed=0, *, scale=1.0, bias=-1.0, lengths=LENGTHS, width=24, vocab=70, dtype=torch.float32):
    chance = torch.Generator().manual_seed(seed)
    tokens = torch.randn(sum(lengths), width, generator=chance) * scale
    weight = torch.randn(vocab, width, generator=chance)
    biases = None if bias is None else torch.randn(vocab, generator=chance) + bias
    return Packed(tokens, tuple(lengths), weight, biases, dtype)


def plain(given):
    rows = []
    for states in given.tokens.split(list(given.lengths)):
        logits = states @ given.weight.t() + (0 if given.bias is None else given.bias)
        rows.append(logits.amax(dim=0) if len(states) else torch.zeros(len(given.weight)))
    return torch.stack(rows)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1e-3, 1.0, 40.0, 1e6]),
    st.sampled_from([None, -1.0, -6.0, 0.0]),
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
)
def test_what_is_above_zero_is_found_with_its_value_and_nothing_else(seed, scale, bias, lengths):
    given_ = packed(seed, scale=scale, bias=bias, lengths=lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "FEW", 2.0)
        found = screening.strongest_above_zero(given_)
    expected = plain(given_)
    torch.testing.assert_close(found.relu(), expected.relu(), rtol=1e-5, atol=1e-5 * scale)
    unsure = expected.abs() < 1e-5 * scale
    assert ((found > 0) == (expected > 0))[~unsure].all()


@pytest.mark.parametrize("width", [8, 384, 1024])
@pytest.mark.parametrize("kind", ["halfway", "one sign", "cancelling"])
def test_no_product_in_bfloat16_is_further_off_than_is_allowed_for(width, kind):
    chance = torch.Generator().manual_seed(width)
    tokens, weight = torch.rand(40, width, generator=chance) + 1, torch.rand(90, width, generator=chance) + 1
    if kind == "halfway":  # between two neighbours of bfloat16, where rounding errs most
        tokens, weight = (1 + (part * 100).floor() / 128 + 1 / 256 for part in (tokens, weight))
    if kind == "cancelling":
        weight[:, ::2] *= -1
    given_ = Packed(tokens, (40,), weight, None, torch.bfloat16)
    rounding = 2 * screening.UNIT + screening.UNIT**2 + 2.0**-22 * width
    for block in blocks(given_):
        exact = tokens.double() @ weight[block.terms].double().t()
        allowed = rounding * torch.outer(tokens.norm(dim=1), weight[block.terms].norm(dim=1))
        error = (block.logits.double() - exact).abs()
        assert (error <= allowed + 2 * screening.UNIT * block.logits.double().abs()).all()
        assert error.max() > 0


def test_a_logit_just_above_zero_that_bfloat16_takes_for_negative_is_kept():
    tokens = torch.tensor([[1 + 1 / 256, 1.0]])  # 1 + 1/256 becomes 1 in bfloat16
    weight = torch.tensor([[1.0, -1 - 1 / 512], [1.0, -1 - 1 / 128]])
    given_ = Packed(tokens, (1,), weight, None, torch.float32)
    assert (tokens.bfloat16() @ weight.bfloat16().t())[0, 0] <= 0 < (tokens @ weight.t())[0, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screening, "FEW", 2.0)
        found = screening.strongest_above_zero(given_)
    assert found[0, 0] == (tokens @ weight.t())[0, 0]
    assert found[0, 1] <= 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_not_hidden(value):
    given_ = packed(bias=-30.0)
    given_.tokens[2, 5] = value
    found, expected = screening.strongest_above_zero(given_), plain(given_).relu()
    assert found is not None
    assert torch.equal(found.isfinite(), expected.isfinite())
    assert not expected.isfinite().all()


def test_many_terms_above_zero_are_left_to_float32():
    assert screening.strongest_above_zero(packed(bias=4.0)) is None
    assert screening.strongest_above_zero(packed(bias=-40.0)) is not None


@pytest.mark.parametrize("activation", ["log1p_relu", "relu"])
def test_the_head_and_its_gradient_are_those_of_float32(activation, forced, monkeypatch):
    made = {}
    for screened in (True, False):
        tokens, weight, bias = case(bias=-6.0)
        used = []
        found = screening.strongest_above_zero
        monkeypatch.setattr(screening, "is_worth_it", lambda given_, screened=screened: screened)
        monkeypatch.setattr(
            max_pooling.screening, "strongest_above_zero", lambda p, f=found, u=used: u.append(1) or f(p)
        )
        weights = splade_head(tokens, LENGTHS, weight, bias, "max", activation)
        (weights * torch.arange(weights.numel()).view_as(weights)).sum().backward()
        made[screened] = [weights.detach(), *(part.grad for part in (tokens, weight, bias))]
        assert bool(used) == screened
        monkeypatch.undo()
    assert 0 < made[True][0].count_nonzero() < made[True][0].numel() / 4
    for one, other in zip(made[True], made[False], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_it_is_for_many_logits_in_float32_on_a_processor_that_has_bfloat16(forced, monkeypatch):
    assert screening.is_worth_it(packed())
    assert not screening.is_worth_it(packed(dtype=torch.bfloat16))
    monkeypatch.setattr(screening, "WORTH", 1 << 24)
    assert not screening.is_worth_it(packed())
    monkeypatch.setattr(screening, "WORTH", 0)
    monkeypatch.setattr(screening, "is_fast", lambda: False)
    assert not screening.is_worth_it(packed())
