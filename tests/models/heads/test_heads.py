"""Pooling and activation: values by hand, the naive form as oracle, laws."""

import math

import pytest
import torch
from torch import nn

from splade.models.heads import pooling as heads
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.pooling import AGGREGATIONS, pool_full_logits, pool_hidden, pool_logits


def linear(weight, bias=None):
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    layer.weight.data = torch.tensor(weight)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def naive(hidden, decoder, mask, agg):
    """All logits at once, masked after the activation: the form that takes [B, L, V] of memory."""
    weights = torch.log1p(torch.relu(decoder(hidden))) * mask.unsqueeze(2)
    return weights.amax(dim=1) if agg == "max" else weights.sum(dim=1)


def random_case(seed=0, bias=True):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(4, 5, 6, generator=generator, requires_grad=True)
    decoder = nn.Linear(6, 700, bias=bias)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    return hidden, decoder, mask


def test_two_positions_give_the_values_worked_by_hand():
    hidden = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])
    decoder = linear([[1.0, 0.0], [3.0, 2.0], [-1.0, -1.0]], [0.0, -1.0, 0.0])
    mask = torch.tensor([[1, 1, 0]])  # the third position is padding
    # logits: position 0 (1, 2, -1), position 1 (0, 1, -1)
    largest = pool_logits(hidden, decoder, mask, "max", "log1p_relu")
    total = pool_logits(hidden, decoder, mask, "sum", "log1p_relu")
    assert largest[0].tolist() == pytest.approx([math.log(2), math.log(3), 0])
    assert total[0].tolist() == pytest.approx([math.log(2), math.log(3) + math.log(2), 0])
    assert pool_logits(hidden, decoder, mask, "max", "relu")[0].tolist() == pytest.approx([1, 2, 0])
    flatter = pool_logits(hidden, decoder, mask, "max", "log1p_log1p_relu")
    assert flatter[0].tolist() == pytest.approx([math.log(1 + math.log(2)), math.log(1 + math.log(3)), 0])


@pytest.mark.parametrize("agg", AGGREGATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_chunks_of_the_vocabulary_change_neither_values_nor_gradients(agg, bias, monkeypatch):
    monkeypatch.setattr(heads, "CHUNK_ELEMENTS", 1)  # the least chunk: 256 of 700 terms
    hidden, decoder, mask = random_case(bias=bias)
    ours = pool_logits(hidden, decoder, mask, agg, "log1p_relu")
    oracle = naive(hidden, decoder, mask, agg)
    torch.testing.assert_close(ours, oracle)
    direction = torch.rand(ours.shape, generator=torch.Generator().manual_seed(1))
    parameters = [hidden, *decoder.parameters()]
    for mine, theirs in zip(
        torch.autograd.grad((ours * direction).sum(), parameters),
        torch.autograd.grad((oracle * direction).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("agg", AGGREGATIONS)
def test_full_logits_give_the_same_weights(agg):
    hidden, decoder, mask = random_case()
    torch.testing.assert_close(
        pool_full_logits(decoder(hidden), mask, agg, "log1p_relu"),
        pool_logits(hidden, decoder, mask, agg, "log1p_relu"),
    )


@pytest.mark.parametrize("agg", AGGREGATIONS)
def test_what_stands_at_masked_positions_does_not_matter(agg):
    hidden, decoder, mask = random_case()
    junk = torch.where(mask.bool().unsqueeze(2), hidden, torch.tensor(1e30))
    torch.testing.assert_close(
        pool_logits(junk, decoder, mask, agg, "log1p_relu"),
        pool_logits(hidden, decoder, mask, agg, "log1p_relu"),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("agg", AGGREGATIONS)
def test_a_text_without_positions_gets_the_zero_vector_and_a_finite_gradient(agg):
    hidden, decoder, mask = random_case()
    mask[1] = 0
    weights = pool_logits(hidden, decoder, mask, agg, "log1p_relu")
    assert weights[1].count_nonzero() == 0
    weights.sum().backward()
    assert torch.isfinite(hidden.grad).all()
    assert hidden.grad[1].count_nonzero() == 0


@pytest.mark.parametrize("agg", AGGREGATIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_weights_survive_half_precision(agg, dtype):
    # log(1 + x) loses the first in half precision, the second even in float32
    small = [2.0**-12, 2.0**-24]
    logits = torch.tensor([[small]], dtype=dtype)  # [1, 1, 2]
    weights = pool_full_logits(logits, torch.ones(1, 1), agg, "log1p_relu")
    assert weights.dtype == ACTIVATIONS["log1p_relu"](logits).dtype == torch.float32
    assert weights[0].tolist() == pytest.approx([math.log1p(value) for value in small], rel=1e-6)


@pytest.mark.parametrize("agg", AGGREGATIONS)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("bias", [None, [0.0, 0.0]])
def test_small_weights_survive_autocast_on_the_way_that_models_take(agg, fused, bias, monkeypatch):
    monkeypatch.setattr(heads, "is_fast_on", lambda _: fused)
    small = [2.0**-12, 2.0**-24]  # 1 + x is 1 in bfloat16 for both
    decoder = linear([[value] for value in small], bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weights = pool_hidden([(torch.ones(1, 1, 1), torch.ones(1, 1))], None, decoder, agg, "log1p_relu")
    assert weights.dtype == torch.float32
    assert weights[0].tolist() == pytest.approx([math.log1p(value) for value in small], rel=1e-6)


def test_of_equal_logits_the_first_position_receives_the_gradient():
    hidden = torch.ones(1, 3, 2, requires_grad=True)
    mask = torch.tensor([[0, 1, 1]])
    pool_logits(hidden, linear([[1.0, 1.0]]), mask, "max", "relu").sum().backward()
    assert hidden.grad[0, :, 0].tolist() == [0, 1, 0]
