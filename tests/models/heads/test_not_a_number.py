"""What is no number, or infinite, in a hidden state or the matrix is seen in the weights, whatever pools."""

import pytest
import torch
from torch import nn

from splade.models.backbones import packed
from splade.models.heads import cuda_head, screening
from splade.models.heads.fused_head import POOLINGS, splade_head
from splade.models.heads.plain_head import plain_head
from splade.models.heads.pooling import pool_logits

INF, NAN = float("inf"), float("nan")
LENGTHS = (2, 3, 1)
MATRIX = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])  # terms: the first dimension, the second, minus the first


def padded(states, weight, agg):
    texts = nn.utils.rnn.pad_sequence(states.split(list(LENGTHS)), batch_first=True)
    mask = torch.arange(texts.shape[1]) < torch.tensor(LENGTHS)[:, None]
    decoder = nn.Linear(*weight.shape[::-1], bias=False)
    decoder.weight = nn.Parameter(weight)
    return pool_logits(texts, decoder, mask, agg, "log1p_relu")


WAYS = {
    "cpu": lambda s, w, agg: splade_head(s, LENGTHS, w, None, agg, "log1p_relu"),
    "torch": lambda s, w, agg: cuda_head.pool_tokens(
        s, w, None, list(LENGTHS), agg, "log1p_relu", torch.float32, "torch"
    )[0],
    "plain": lambda s, w, agg: plain_head(s, LENGTHS, w, None, agg, "log1p_relu"),
    "padded": padded,
}


def states_with(value, token):
    """States of 6 tokens that are 1 in the second dimension, 0 in the first, there ``value`` at ``token``."""
    states = torch.tensor([[0.0, 1.0]]).repeat(6, 1)
    states[token, 0] = value
    return states


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(packed, "TERMS", 1)
        monkeypatch.setattr(packed, "ROWS", 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("token", [2, 3, 4])
@pytest.mark.usefixtures("_blocks")
def test_a_state_that_is_not_a_number_makes_all_weights_of_its_text_so(way, agg, token):
    weights = WAYS[way](states_with(NAN, token), MATRIX, agg)
    assert weights.isnan().tolist() == [[False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize(("text", "token"), [(0, 0), (0, 1), (1, 2), (1, 4), (2, 5)])
def test_an_infinite_logit_is_an_infinite_weight_and_minus_infinity_none(way, agg, text, token):
    """Of every other token both logits are 1; the shorter texts have padding, and infinity times 0 is no number."""
    terms = torch.tensor([[1.0, 1.0], [-1.0, 1.0]])
    weights = WAYS[way](states_with(INF, token), torch.cat([terms, terms[:1]]), agg).detach()
    n_ones = torch.tensor([2.0, 3.0, 1.0])[:, None].repeat(1, 3)
    n_ones[text, 1] -= 1
    expected = n_ones * torch.tensor(2.0).log() if agg == "sum" else (n_ones > 0) * torch.tensor(2.0).log()
    expected[text, ::2] = INF
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_row_of_the_matrix_that_is_no_number_spoils_its_term_alone(way, agg, value):
    matrix = MATRIX.clone()
    matrix[1] = value  # infinite: 0 · ∞ is no number either
    weights = WAYS[way](states_with(0.0, 0), matrix, agg)
    assert weights.isnan().tolist() == [[False, True, False]] * 3


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_screening_finds_what_float32_finds(value, monkeypatch):
    monkeypatch.setattr(screening, "WORTH", 0)
    monkeypatch.setattr(screening, "is_fast", lambda: True)
    monkeypatch.setattr(screening, "FEW", 2.0)
    screened = WAYS["cpu"](states_with(value, 3), MATRIX, "max")
    torch.testing.assert_close(screened, WAYS["plain"](states_with(value, 3), MATRIX, "max"), equal_nan=True)


@pytest.mark.parametrize("way", ["cpu", "torch"])
@pytest.mark.parametrize("agg", POOLINGS)
def test_the_gradient_shows_it_too(way, agg):
    matrix = MATRIX.clone().requires_grad_()
    WAYS[way](states_with(NAN, 3), matrix, agg).sum().backward()
    assert matrix.grad.isnan().any()  # so that a loss scaler skips the step
