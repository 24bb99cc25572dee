"""The Triton kernel against the naive head: its arithmetic in Triton's interpreter, itself on a GPU."""

import os
import subprocess
import sys
from itertools import product

import pytest
import torch

from splade.models.heads.activations import ACTIVATIONS
from tests.conftest import ROOT
from tests.models.heads.test_fused_head import LENGTHS, D, case, gradients, naive
from tests.models.heads.test_not_a_number import INF, NAN
from tests.sampled import sampled

CASES = [*product(("max", "sum"), ACTIVATIONS, [-1.0]), ("max", "log1p_relu", None), ("sum", "log1p_relu", None)]
EXTREME = [("max", "log1p_relu", 100.0), ("max", "relu", -100.0), ("sum", "log1p_log1p_relu", 100.0)]
SPOILT = [("max", "relu"), *product(["sum"], ACTIVATIONS)]
FEW = {"cases": [("max", "log1p_relu", -1.0), ("sum", "relu", None)], "extreme": EXTREME[2:], "spoilt": SPOILT[:2]}
"""Each pooling once, and two of three activations: Triton's interpreter takes seconds for every case."""


def boundaries():
    """Lengths of one token less, as many and one more than a tile has, of each kind of tile; and a text of none."""
    from splade.models.heads.triton_head import TILES

    sizes = sorted({tiles.tokens for tiles in TILES.values()})
    return (1, 0, *(size + more for size in sizes for more in (-1, 0, 1)), 2 * sizes[-1] + 1)


def pooled(states, weight, bias, lengths, agg, activation, way="ieee", dtype=torch.float32):
    from splade.models.heads.cuda_head import pool_tokens

    return pool_tokens(states, weight, bias, list(lengths), agg, activation, dtype, way)


def compare(device, tolerance, cases, extreme):
    """Values and gradients of all cases, with texts that end beside the ends of tiles."""
    for lengths, chosen in ((LENGTHS, cases), (boundaries(), extreme)):
        for agg, activation, bias in chosen:
            inputs = case(lengths, bias)
            moved = [None if part is None else part.detach().to(device).requires_grad_() for part in inputs]
            ours, _ = pooled(*moved, lengths, agg, activation)
            oracle = naive(inputs[0], lengths, *inputs[1:], agg, activation)
            torch.testing.assert_close(ours.cpu(), oracle, rtol=tolerance, atol=tolerance)
            for mine, theirs in zip(gradients(ours.cpu(), moved), gradients(oracle, inputs), strict=True):
                torch.testing.assert_close(mine.cpu(), theirs, rtol=10 * tolerance, atol=10 * tolerance)


def check_edges_of_tiles(device):
    """A vocabulary of one term less, as many and one more than a tile; a state of as many dimensions, and of more."""
    from splade.models.heads.triton_head import TILES

    generator = torch.Generator().manual_seed(0)
    for way, tiles in TILES.items():
        dtype = torch.float16 if way == "half" else torch.float32
        for more in (-1, 0, 1):
            states = torch.randn(5, tiles.dims + more, generator=generator)
            weight = torch.randn(tiles.terms + more, tiles.dims + more, generator=generator) / 8
            ours, _ = pooled(states.to(device), weight.to(device), None, (2, 3), "max", "relu", way, dtype)
            exact = naive(states, (2, 3), weight, None, "max", "relu")
            torch.testing.assert_close(ours.cpu(), exact, rtol=0.01, atol=0.01)
            assert ours.dtype == torch.float32


def check_ties(device):
    """Of equal logits the first token has the place, within its text."""
    weights, places = pooled(
        torch.ones(6, 4, device=device), torch.ones(9, 4, device=device), None, (2, 4), "max", "relu"
    )
    assert places.tolist() == [[0] * 9] * 2
    assert places.dtype == torch.int16
    assert weights.tolist() == [[4.0] * 9] * 2
    states = torch.zeros(140, 1, device=device)
    states[[3, 80, 130]] = 1.0  # of the second text: in the first tile and in later ones
    assert pooled(states, torch.ones(1, 1, device=device), None, (2, 138), "max", "relu")[1].tolist() == [[0], [1]]


def check_what_is_no_number(device, cases):
    """NaN and infinity at the first, a middle and the last token of a text of several tiles, and in the matrix."""
    matrix = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], device=device)
    for (agg, activation), token in product(cases, (1, 66, 130)):
        states = torch.tensor([[0.0, 1.0]]).repeat(132, 1).to(device)
        states[token, 0] = NAN
        weights, _ = pooled(states, matrix, None, (1, 130, 1), agg, activation)
        assert weights.isnan().tolist() == [[False] * 2, [True] * 2, [False] * 2]
        states[token, 0] = INF
        weights, places = pooled(states, matrix, None, (1, 130, 1), agg, activation)
        assert weights[1, 0] == INF
        assert weights.isfinite().tolist() == [[True] * 2, [False, True], [True] * 2]
        if agg == "max":
            assert places[1, 0] == token - 1
    for value, agg in product((NAN, INF), ("max", "sum")):
        spoilt = matrix.clone()
        spoilt[1] = value
        weights, _ = pooled(torch.zeros(3, 2, device=device), spoilt, None, (1, 2), agg, "relu")
        assert weights.isnan().tolist() == [[False, True]] * 2  # 0 · ∞ is no number


def check_groups(device):
    """Texts in groups of several sizes get the same weights, each in its row."""
    from splade.models.heads import triton_head

    states, weight, bias = (part.detach().to(device) for part in case())
    expected = naive(states.cpu(), LENGTHS, weight.cpu(), bias.cpu(), "max", "relu")
    former = triton_head.CACHED
    for n_together in (1, 3, 8):
        triton_head.CACHED = n_together * sum(LENGTHS) * D * 4 / len(LENGTHS)
        ours, _ = pooled(states, weight, bias, LENGTHS, "max", "relu")
        torch.testing.assert_close(ours.cpu(), expected)
    triton_head.CACHED = former


def check_all(device, tolerance, cases=CASES, extreme=EXTREME, spoilt=SPOILT):
    """Everything that the kernel promises."""
    check_ties(device)
    check_what_is_no_number(device, spoilt)
    check_groups(device)
    check_edges_of_tiles(device)
    compare(device, tolerance, cases, extreme)


@pytest.mark.slow
@pytest.mark.parametrize("cases", sampled(["**FEW", ""]), ids=["few", "all"])
def test_the_arithmetic_of_the_kernel_is_that_of_the_naive_head(cases):
    pytest.importorskip("triton", reason="Triton is not installed: it is made for Linux on x86-64")
    code = f"from tests.models.heads.test_triton_head import FEW, check_all; check_all('cpu', 1e-5, {cases})"
    paths = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
def test_the_kernel_gives_the_values_of_the_naive_head():
    check_all("cuda", 1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_products_are_near_those_of_float32(dtype):
    states, weight, bias = (part.detach().cuda() for part in case())
    half, _ = pooled(states, weight, bias, LENGTHS, "max", "log1p_relu", "half", dtype)
    exact = naive(states.cpu(), LENGTHS, weight.cpu(), bias.cpu(), "max", "log1p_relu")
    torch.testing.assert_close(half.cpu(), exact, rtol=0.05, atol=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_compile_keeps_the_head_in_one_graph(dtype):
    from splade.models.heads.fused_head import splade_head

    states, weight, bias = (part.detach().cuda() for part in case())

    def head(states):
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            return splade_head(states * 2, LENGTHS, weight, bias, "max", "log1p_relu").sum()

    torch.testing.assert_close(torch.compile(head, fullgraph=True)(states), head(states))
