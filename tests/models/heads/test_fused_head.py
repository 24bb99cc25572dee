"""The fused head against the naive one, which holds all logits; laws of ties, empty and dense texts."""

import pytest
import torch
from torch.nn import functional as F

from splade.models import Splade
from splade.models.backbones import buckets, packed
from splade.models.heads import max_pooling
from splade.models.heads import pooling as heads
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.fused_head import POOLINGS, splade_head
from splade.models.heads.plain_head import plain_head
from tests.models.support import TEXTS, tokens
from tests.sampled import sampled

LENGTHS = (3, 1, 0, 5, 5, 5, 2, 0)
D, V = 6, 70


def naive(states, lengths, weight, bias, agg, activation):
    """Padded, all logits [B, L, V] at once, each activated, then masked."""
    padded = torch.nn.utils.rnn.pad_sequence(states.split(list(lengths)), batch_first=True)
    padded = F.pad(padded, (0, 0, 0, 1))  # [B, L, D], L > 0
    mask = torch.arange(padded.shape[1]) < torch.tensor(lengths)[:, None]
    logits = F.linear(padded, weight, bias)
    for step in activation.split("_")[::-1]:
        logits = {"relu": torch.relu, "log1p": torch.log1p}[step](logits)
    logits = logits * mask.unsqueeze(2)
    return logits.max(dim=1).values if agg == "max" else logits.sum(dim=1)


def case(lengths=LENGTHS, bias=-1.0, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(sum(lengths), D, generator=generator, dtype=dtype).requires_grad_()
    weight = torch.randn(V, D, generator=generator, dtype=dtype).requires_grad_()
    if bias is not None:
        bias = (torch.randn(V, generator=generator, dtype=dtype) * 0.5 + bias).requires_grad_()
    return states, weight, bias


def gradients(weights, inputs):
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(1), dtype=weights.dtype)
    return torch.autograd.grad((weights * direction).sum(), [part for part in inputs if part is not None])


def same(inputs, lengths, agg, activation):
    states, weight, bias = inputs
    ours = splade_head(states, lengths, weight, bias, agg, activation)
    oracle = naive(states, lengths, weight, bias, agg, activation)
    torch.testing.assert_close(ours, oracle, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(gradients(ours, inputs), gradients(oracle, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    return ours


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(packed, "TERMS", 16)
        monkeypatch.setattr(packed, "ROWS", 7)


@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [None, 0.0, -4.0])
@pytest.mark.usefixtures("_blocks")
def test_values_and_gradients_are_those_of_the_naive_head(agg, activation, bias):
    same(case(bias=bias), LENGTHS, agg, activation)


@pytest.mark.parametrize("dense", [-1.0, 0.05, 0.3, 2.0])
@pytest.mark.usefixtures("_blocks")
def test_a_stored_arg_max_and_one_found_again_give_the_same_gradient(dense, monkeypatch):
    monkeypatch.setattr(max_pooling, "DENSE", dense)
    same(case(bias=-2.5), LENGTHS, "max", "log1p_relu")


@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize(("bias", "share"), [(-100.0, 0), (100.0, 1)])
def test_heads_with_no_term_active_and_with_all_active(agg, bias, share):
    weights = same(case(bias=bias), LENGTHS, agg, "log1p_relu")
    active = torch.tensor([length > 0 for length in LENGTHS])
    assert weights[active].count_nonzero() == share * weights[active].numel()
    assert weights[~active].count_nonzero() == 0


@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1), (0, 0), (9,), (0, 4)])
def test_batches_of_odd_shape(agg, lengths):
    same(case(lengths), lengths, agg, "log1p_relu")


@pytest.mark.thinned(2)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("activation", sampled(ACTIVATIONS, "log1p_relu"))
@pytest.mark.parametrize("bias", [None, -1.0])
def test_gradients_agree_with_finite_differences_in_float64(agg, activation, bias):
    states, weight, shift = case((3, 0, 2), bias, torch.float64)
    weight = weight.detach()[:7].requires_grad_()
    shift = shift if shift is None else shift.detach()[:7].requires_grad_()

    def head(*inputs):
        return splade_head(inputs[0], (3, 0, 2), inputs[1], inputs[2] if shift is not None else None, agg, activation)

    inputs = (states, weight) if shift is None else (states, weight, shift)
    assert torch.autograd.gradcheck(head, inputs)
    assert torch.autograd.gradgradcheck(head, inputs)


@pytest.mark.parametrize("dense", [-1.0, 2.0])
def test_of_equal_logits_the_first_token_receives_the_gradient(dense, monkeypatch):
    monkeypatch.setattr(max_pooling, "DENSE", dense)
    states = torch.tensor([[0.0], [1.0], [1.0], [1.0]], requires_grad=True)
    splade_head(states, (1, 3), torch.ones(2, 1), None, "max", "relu").sum().backward()
    assert states.grad.flatten().tolist() == [0, 2, 0, 0]  # a weight of 0 is inactive


def test_a_tied_matrix_receives_the_sum_of_both_uses():
    ids = torch.tensor([3, 1, 4, 1, 5])
    _, table, bias = case(bias=-0.5)
    ours, oracle = (
        head(F.embedding(ids, table).tanh(), (2, 3), table, bias, "max", "log1p_relu") for head in (splade_head, naive)
    )
    for mine, theirs in zip(gradients(ours, [table, bias]), gradients(oracle, [table, bias]), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trained", [(True, False, False), (False, True, False), (False, False, True)])
@pytest.mark.parametrize("agg", POOLINGS)
def test_only_what_is_trained_receives_a_gradient(agg, trained):
    inputs = case()
    expected = gradients(naive(*inputs[:1], LENGTHS, *inputs[1:], agg, "relu"), inputs)[trained.index(True)]
    inputs = [part.detach().requires_grad_(wanted) for part, wanted in zip(inputs, trained, strict=True)]
    splade_head(inputs[0], LENGTHS, *inputs[1:], agg, "relu").backward(
        torch.randn(len(LENGTHS), V, generator=torch.Generator().manual_seed(1))
    )
    assert [part.grad is not None for part in inputs] == list(trained)
    torch.testing.assert_close(inputs[trained.index(True)].grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("agg", POOLINGS)
def test_autocast_takes_the_products_in_its_type_and_all_else_in_float32(agg):
    inputs = case(bias=-0.5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = splade_head(inputs[0], LENGTHS, *inputs[1:], agg, "log1p_relu")
        plain = plain_head(inputs[0], LENGTHS, *inputs[1:], agg, "log1p_relu")
    assert ours.dtype == torch.float32
    exact = splade_head(inputs[0], LENGTHS, *inputs[1:], agg, "log1p_relu")
    assert (ours - exact).abs().max() > 1e-4
    torch.testing.assert_close(ours, plain, rtol=0.03, atol=0.03)
    for mine, theirs in zip(gradients(ours, inputs), gradients(exact, inputs), strict=True):
        assert mine.dtype == torch.float32
        assert F.cosine_similarity(mine.flatten(), theirs.flatten(), dim=0) > 0.99


def test_a_state_that_is_not_a_number_is_not_hidden():
    states, weight, bias = case()
    with torch.no_grad():
        states[0] = torch.nan
    weights = splade_head(states, LENGTHS, weight, bias, "max", "log1p_relu")
    assert weights[0].isnan().all()
    assert gradients(weights, [weight])[0].isnan().any()


def test_lengths_that_do_not_fit_are_refused():
    states, weight, bias = case()
    with pytest.raises(ValueError, match="add up to 3, but there are 21 tokens"):
        splade_head(states, (1, 2), weight, bias, "max", "relu")


@pytest.mark.parametrize("agg", POOLINGS)
def test_an_encoder_trains_alike_with_the_fused_head_and_the_plain_one(agg, mlm, monkeypatch):
    found = []
    for fused in (True, False):
        monkeypatch.setattr(heads, "is_fast_on", lambda _, fused=fused: fused)
        model = Splade(mlm, agg=agg)
        weights = model("document", *tokens(model, (*TEXTS, "")))
        weights.square().sum().backward()
        found.append({name: part.grad for name, part in model.named_parameters() if part.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "plain"])
@pytest.mark.parametrize("agg", POOLINGS)
def test_texts_in_buckets_by_length_get_the_vectors_they_get_together(agg, fused, mlm, monkeypatch):
    monkeypatch.setattr(heads, "is_fast_on", lambda _: fused)
    model = Splade(mlm, agg=agg)
    found, calls = [], []
    model.encoders["document"].mlm.base_model.register_forward_hook(lambda *_: calls.append(1))
    for budget in (buckets.Budget(1000, 1000), buckets.Budget(20, 1)):
        monkeypatch.setitem(buckets.BUDGETS, "cpu", budget)
        weights = model("document", *tokens(model, ("king", *TEXTS, "", "heat of the sun")))
        found.append(
            [weights, *torch.autograd.grad(weights.square().sum(), model.encoders["document"].mlm.cls.parameters())]
        )
    assert len(calls) > 2
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-4)
