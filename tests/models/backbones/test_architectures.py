"""Every architecture's head, through the fused operation, against all logits of transformers' own forward pass."""

import pytest
import torch
from torch.nn import functional as F

from splade.models import Splade
from splade.models.backbones.layouts import find_head
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.fused_head import POOLINGS
from tests.models.support import TEXTS, tokens
from tests.tiny import ARCHITECTURES, DECODERS, tiny_decoder, tiny_mlm

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # transformers 4 and ModernBERT
TIES = ("tied", "untied")


@pytest.fixture(scope="module", params=[(arch, tie) for arch in (*ARCHITECTURES, *DECODERS) for tie in TIES], ids=str)
def model(request, tmp_path_factory):
    arch, tie = request.param
    folder = tmp_path_factory.mktemp("model")
    if arch in DECODERS:
        return Splade(tiny_decoder(folder, arch=arch, tied=tie == "tied"))
    built = Splade(tiny_mlm(folder, arch=arch))
    if tie == "untied":
        decoder = find_head(built.encoders["document"].mlm).decoder
        decoder.weight = torch.nn.Parameter(decoder.weight.detach().flip(0).clone())
    return built


def naive(mlm, ids, mask, agg, activation):
    """All logits [B, L, V], each activated, then masked and pooled."""
    logits = mlm(input_ids=ids, attention_mask=mask).logits
    for step in activation.split("_")[::-1]:
        logits = {"relu": torch.relu, "log1p": torch.log1p}[step](logits)
    logits = logits.float() * mask.unsqueeze(2)
    return logits.max(dim=1).values if agg == "max" else logits.sum(dim=1)


def of(weights, model):
    model.zero_grad()
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(1))
    (weights * direction).mean().backward()
    return {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}


@pytest.mark.thinned(4)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weights_and_gradients_are_those_of_the_logits_of_transformers(model, agg, activation):
    encoder = model.encoders["document"]
    encoder.agg, encoder.activation = agg, activation
    assert find_head(encoder.mlm) is not None
    ids, mask = tokens(model, TEXTS)
    ours, theirs = model("document", ids, mask), naive(encoder.mlm, ids, mask, agg, activation)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert (ours > 0).any(dim=1).all()
    expected = of(theirs, model)
    found = of(model("document", ids, mask), model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("agg", POOLINGS)
def test_autocast_gives_float32_weights_near_those_of_full_precision(model, agg):
    model.encoders["document"].agg = agg
    model.encoders["document"].activation = "log1p_relu"
    ids, mask = tokens(model, TEXTS)
    exact = model("document", ids, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = model("document", ids, mask)
    assert ours.dtype == torch.float32
    assert F.cosine_similarity(ours, exact).min() > 0.99
    expected, found = of(exact, model), of(ours, model)
    for name, gradient in expected.items():
        assert found[name].dtype == gradient.dtype, name


def test_rows_are_the_non_zeros_of_the_vectors(model):
    model.encoders["document"].agg = "max"
    ids, mask = tokens(model, TEXTS)
    with torch.no_grad():
        dense = model("document", ids, mask)
    rows = model.rows("document", ids, mask)
    assert rows.offsets[-1] == dense.count_nonzero()
    torch.testing.assert_close(torch.from_numpy(rows.weights), dense[dense != 0], rtol=1e-5, atol=1e-6)
