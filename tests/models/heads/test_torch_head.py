"""The operator of CUDA devices with torch's own products, on the CPU: against the naive head, and laws."""

import pytest
import torch

from splade.models.heads import cuda_head, max_pooling, torch_head
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.fused_head import POOLINGS, SpladeHead
from tests.models.heads.test_fused_head import LENGTHS, D, V, case, gradients, naive
from tests.sampled import sampled

LONG = (*LENGTHS, 130, 65, 64)


def head(inputs, lengths, agg, activation, dtype=None):
    states, weight, bias = inputs
    return cuda_head.pool_tokens(states, weight, bias, list(lengths), agg, activation, dtype or weight.dtype, "torch")


@pytest.fixture(params=["one chunk", "many chunks"])
def _chunks(request, monkeypatch):
    if request.param == "many chunks":
        monkeypatch.setattr(torch_head, "CELLS", 1)
        monkeypatch.setattr(torch_head, "TOKENS", 4)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [None, 0.0, -4.0, 100.0])
@pytest.mark.usefixtures("_chunks")
def test_values_and_gradients_are_those_of_the_naive_head(agg, activation, bias):
    inputs = case(LONG, bias)
    ours, _ = head(inputs, LONG, agg, activation)
    oracle = naive(inputs[0], LONG, *inputs[1:], agg, activation)
    torch.testing.assert_close(ours, oracle, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(gradients(ours, inputs), gradients(oracle, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_vocabulary_of_several_chunks_is_pooled_whole(monkeypatch):
    monkeypatch.setattr(torch_head, "CELLS", 1)  # 256 terms at a time
    states, weight, bias = torch.randn(9, D), torch.randn(700, D), torch.randn(700)
    ours, _ = head((states, weight, bias), (4, 5), "max", "relu")
    torch.testing.assert_close(ours, naive(states, (4, 5), weight, bias, "max", "relu"))


@pytest.mark.parametrize("lengths", [(1,), (1, 1, 1), (0, 0), (9,), (0, 4)])
@pytest.mark.parametrize("agg", POOLINGS)
def test_batches_of_odd_shape(agg, lengths):
    inputs = case(lengths)
    ours, _ = head(inputs, lengths, agg, "log1p_relu")
    torch.testing.assert_close(ours, naive(inputs[0], lengths, *inputs[1:], agg, "log1p_relu"))


def test_places_are_counted_within_texts_and_small():
    _, places = head((torch.ones(6, 4), torch.ones(9, 4), None), (2, 4), "max", "relu")
    assert places.dtype == torch.int16
    assert places.tolist() == [[0] * 9] * 2  # of equal logits the first token
    states = torch.tensor([[0.0], [1.0], [5.0], [2.0]])
    assert head((states, torch.ones(1, 1), None), (1, 3), "max", "relu")[1].tolist() == [[0], [1]]


@pytest.mark.slow
@pytest.mark.parametrize("agg", sampled(POOLINGS, "max"))
def test_gradients_agree_with_finite_differences_in_float64_twice(agg):
    states, weight, bias = case((3, 0, 2), -1.0, torch.float64)
    weight, bias = (part.detach()[:7].requires_grad_() for part in (weight, bias))

    def of(*inputs):
        return head(inputs, (3, 0, 2), agg, "log1p_relu")[0]

    assert torch.autograd.gradcheck(of, (states, weight, bias))
    assert torch.autograd.gradgradcheck(of, (states, weight, bias))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_of_the_matrix_is_not_rounded_to_the_type_of_the_product(dtype):
    """Of one token with state s, a term's row has the gradient of its logit times s: 1 + 2^-20 is no half number."""
    states = torch.tensor([[1.0]])
    weight = torch.tensor([[2.0]], requires_grad=True)
    weights, _ = head((states, weight, None), (1,), "max", "relu", dtype)
    weights.backward(torch.tensor([[1 + 2.0**-20]]))
    assert weight.grad.dtype == torch.float32
    assert weight.grad.item() == 1 + 2.0**-20


def test_autocast_does_not_round_the_gradient_of_the_matrix_either():
    states, weight = torch.tensor([[1.0]]), torch.tensor([[2.0]], requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        weights, _ = head((states, weight, None), (1,), "sum", "relu", torch.bfloat16)
        weights.backward(torch.tensor([[1 + 2.0**-20]]))
    assert weight.grad.item() == 1 + 2.0**-20


@pytest.mark.parametrize("trained", [(True, False, False), (False, True, False), (False, False, True)])
@pytest.mark.parametrize("agg", POOLINGS)
def test_only_what_is_trained_receives_a_gradient(agg, trained, monkeypatch):
    inputs = [part.detach().requires_grad_(wanted) for part, wanted in zip(case(), trained, strict=True)]
    asked = []
    pooling = {"max": max_pooling, "sum": cuda_head.sum_pooling}[agg]
    backward = pooling.backward
    monkeypatch.setattr(pooling, "backward", lambda *given, **also: asked.append(given[5]) or backward(*given, **also))
    head(inputs, LENGTHS, agg, "relu")[0].sum().backward()
    assert asked == [trained]  # nothing is computed in vain
    assert [part.grad is not None for part in inputs] == list(trained)


@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("way", ["own operator", "fused head"])
def test_every_tensor_of_the_head_is_made_on_the_device_of_its_states(agg, way, monkeypatch):
    """A tensor made without a device would be on the default one, which is another here."""
    monkeypatch.setattr(max_pooling, "DENSE", -1.0)
    inputs = case()
    with torch.device("meta"):
        if way == "own operator":
            weights, _ = head(inputs, LENGTHS, agg, "log1p_relu")
        else:
            weights = SpladeHead.apply(*inputs, LENGTHS, agg, "log1p_relu", True)
        weights.sum().backward()
    assert all(part.grad.device.type == "cpu" for part in inputs)


def test_padding_is_at_most_a_quarter_and_every_text_is_in_one_group():
    lengths = torch.randint(0, 200, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    groups = list(torch_head.groups_of(lengths, torch.device("cpu")))
    seen = torch.cat([group.texts for group in groups])
    assert sorted(seen.tolist()) == [text for text, length in enumerate(lengths) if length]
    assert all(group.inside.float().mean() >= 0.75 for group in groups)
    assert sum(int(group.inside.sum()) for group in groups) == sum(lengths)


def test_a_group_has_a_bounded_number_of_tokens(monkeypatch):
    monkeypatch.setattr(torch_head, "TOKENS", 64)
    groups = list(torch_head.groups_of([10] * 20 + [100], torch.device("cpu")))
    assert [len(group.rows) for group in groups] == [100, 60, 60, 60, 20]


@pytest.mark.slow
def test_torch_compile_knows_the_shapes_of_the_operator():
    inputs = (
        *(part.detach().requires_grad_() for part in case()),
        list(LENGTHS),
        "max",
        "relu",
        torch.float32,
        "torch",
    )
    tests = ("test_schema", "test_faketensor", "test_autograd_registration", "test_aot_dispatch_static")
    torch.library.opcheck(cuda_head.pool_tokens, inputs, test_utils=tests)
    assert head(case(), LENGTHS, "max", "relu")[0].shape == (len(LENGTHS), V)
