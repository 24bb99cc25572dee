"""The Triton kernel against the naive head: its arithmetic in Triton's interpreter, itself on a GPU."""

import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import pytest
import torch

from splade.models.activations import ACTIVATIONS
from tests.conftest import ROOT
from tests.models.test_fused_head import LENGTHS, case, gradients, naive

CASES = list(product(("max", "sum"), ACTIVATIONS, (None, 0.0, -4.0, 100.0, -100.0)))
LONG = (*LENGTHS, 130, 65, 64)  # more than one tile of tokens


def compare(device, tolerance):
    """Values and gradients of all cases; many tiles, and ties."""
    from splade.models import triton_head

    for agg, activation, bias in CASES:
        inputs = case(LONG, bias)
        moved = [None if part is None else part.detach().to(device).requires_grad_() for part in inputs]
        ours, places = triton_head.pool_tokens(*moved, list(LONG), agg, activation)
        oracle = naive(inputs[0], LONG, *inputs[1:], agg, activation)
        torch.testing.assert_close(ours.cpu(), oracle, rtol=tolerance, atol=tolerance)
        for mine, theirs in zip(gradients(ours.cpu(), moved), gradients(oracle, inputs), strict=True):
            torch.testing.assert_close(mine.cpu(), theirs, rtol=10 * tolerance, atol=10 * tolerance)
    states = torch.ones(6, 4, device=device)
    weights, places = triton_head.pool_tokens(states, torch.ones(9, 4, device=device), None, [2, 4], "max", "relu")
    assert places.tolist() == [[0] * 9, [2] * 9]  # of equal logits the first token
    assert weights.tolist() == [[4.0] * 9] * 2
    states, weight, bias = (part.detach().to(device) for part in case(LENGTHS))
    dtype = torch.bfloat16 if device == "cuda" else torch.float16  # the interpreter knows no bfloat16
    half, _ = triton_head.pool_tokens(states.to(dtype), weight.to(dtype), bias, list(LENGTHS), "max", "log1p_relu")
    exact = naive(states.cpu(), LENGTHS, weight.cpu(), bias.cpu(), "max", "log1p_relu")
    torch.testing.assert_close(half.cpu(), exact, rtol=0.05, atol=0.05)
    assert half.dtype == torch.float32
    torch.library.opcheck(
        triton_head.pool_tokens,
        (states.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), list(LENGTHS), "max", "relu"),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration", "test_aot_dispatch_static"),
    )


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed (it comes with torch for CUDA)")
def test_the_arithmetic_of_the_kernel_is_that_of_the_naive_head():
    code = "from tests.models.test_triton_head import compare; compare('cpu', 1e-5)"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
def test_the_kernel_gives_the_values_of_the_naive_head():
    compare("cuda", 1e-4)


@pytest.mark.gpu
def test_torch_compile_keeps_the_head_in_one_graph():
    from splade.models.fused_head import splade_head

    states, weight, bias = (part.detach().cuda() for part in case(LENGTHS))

    def head(states):
        return splade_head(states * 2, LENGTHS, weight, bias, "max", "log1p_relu").sum()

    torch.testing.assert_close(torch.compile(head, fullgraph=True)(states), head(states))
