"""What decays, how fast, and in which arithmetic."""

import logging

import pytest
import torch
from torch import nn

from splade.files import InputError
from splade.models import Splade, SpladeTable
from splade.training.step.optimizer import (
    Precision,
    adamw,
    decay_groups,
    learning_rate_factor,
    learning_rates,
    set_learning_rates,
)
from tests.tiny import tiny_mlm
from tests.training.toy import ToyRetriever


@pytest.mark.parametrize("arch", ["bert", "distilbert", "modernbert"])
def test_biases_and_norms_do_not_decay_and_every_parameter_is_in_one_group(arch, tmp_path):
    model = Splade(str(tiny_mlm(tmp_path, arch=arch, layers=1)), max_length=16)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, spared = ([names[id(p)] for p in group["params"]] for group in decay_groups(model, 0.1))
    assert sorted(decayed + spared) == sorted(names.values())
    assert all(name.endswith("bias") or "norm" in name.lower() for name in spared)
    assert not any(name.endswith("bias") or "norm" in name.lower() for name in decayed)
    assert any(name.endswith("embeddings.weight") for name in decayed)


def test_with_gradients_of_zero_only_decayed_weights_shrink():
    model = ToyRetriever()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adamw(model, lr=0.5, weight_decay=0.2).step()
    for name, parameter in model.named_parameters():
        shrink = 0.9 if name in ("embedding.weight", "head.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * shrink)


def test_a_table_of_query_tokens_learns_at_its_own_rate_and_does_not_decay(tmp_path):
    model = SpladeTable(str(tiny_mlm(tmp_path, layers=1)), max_length=16)
    table = model.encoders["query"].embeddings
    optimizer = adamw(model, 0.1, 0.2, 0.5)
    assert learning_rates(optimizer) == [0.1, 0.1, 0.5]
    assert table is optimizer.param_groups[2]["params"][0]
    assert optimizer.param_groups[2]["weight_decay"] == 0
    set_learning_rates(optimizer, [0.1, 0.1, 0.5], 0.5)
    assert learning_rates(optimizer) == [0.05, 0.05, 0.25]
    assert learning_rates(adamw(model, 0.1, 0.2)) == [0.1, 0.1, 0.1]
    n_parameters = sum(len(group["params"]) for group in optimizer.param_groups)
    assert n_parameters == len(list(model.parameters()))


def test_frozen_parameters_are_left_out_and_a_frozen_model_is_refused():
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(InputError, match="frozen"):
        adamw(model, 0.1, 0.1)


def test_the_rate_rises_to_full_and_falls_to_nothing_and_no_step_is_wasted():
    assert [learning_rate_factor(step, 2, 6) for step in range(6)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert [learning_rate_factor(step, 0, 4) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert learning_rate_factor(0, 0, 1) == 1.0
    assert [learning_rate_factor(step, 2, 2) for step in range(2)] == [0.5, 1.0]


def test_fp16_without_cuda_says_so_and_computes_in_float32(caplog):
    with caplog.at_level(logging.WARNING):
        precision = Precision(torch.device("cpu"), fp16=True)
    assert "fp16 needs a CUDA device" in caplog.text
    assert precision.dtype is None
    assert precision.scaled(torch.tensor(2.0)) == 2.0


def test_fp16_and_bf16_together_are_refused():
    with pytest.raises(ValueError, match="exclude"):
        Precision(torch.device("cpu"), fp16=True, bf16=True)


def test_clipping_reports_the_norm_before_and_none_leaves_gradients_alone():
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    precision = Precision(torch.device("cpu"))
    for limit, expected in ((1.0, [0.6, 0.8]), (None, [3.0, 4.0]), (0.0, [3.0, 4.0])):
        weight.grad = torch.tensor([3.0, 4.0])
        assert precision.clip(optimizer, limit) == pytest.approx(5.0)
        assert weight.grad.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("capability", "scaled", "dtype"),
    [
        ((8, 0), True, torch.bfloat16),
        ((7, 0), True, torch.float16),  # V100: bfloat16 is emulated there
        ((7, 5), True, torch.float16),
        ((7, 0), False, None),  # weights that are spread go without a loss scale
        ((6, 1), True, None),
    ],
)
def test_bf16_is_float16_with_a_loss_scale_on_a_gpu_that_has_no_bfloat16(
    capability, scaled, dtype, monkeypatch, caplog
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    precision = Precision(torch.device("cuda:0"), bf16=True, scaled=scaled)
    assert precision.dtype is dtype
    assert precision.scaler.is_enabled() == (dtype is torch.float16)
    assert ("config.bf16: cuda:0 has no bfloat16 of its own" in caplog.text) == (dtype is not torch.bfloat16)
