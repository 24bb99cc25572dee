"""The head by itself: each way against float64, timed, with what is no number, with texts in other groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from benchmarks.gpu.machine import Machine, Row, name_of
from splade.models.backbones import gpu
from splade.models.backbones.packed import Packed
from splade.models.heads.cuda_head import pool_tokens
from splade.models.heads.pooling import pool_logits

TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Of weights, as a share of the largest: some ten roundings of logits."""
TURNED = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Of gradients, one less their cosine: where rounding makes another token the strongest, the gradient goes there."""

Inputs = tuple[Tensor, Tensor, Tensor]


def ways(machine: Machine, dtype: torch.dtype, tf32: bool = False) -> list[str]:
    """The ways of a head that this device has: torch, and the kernel where that can be had."""
    can = machine.is_gpu and machine.capability >= gpu.TENSOR_CORES and gpu.has_triton()
    asked = "triton" if can else "torch"
    kernel = gpu.way_of(machine.capability, dtype, tf32=tf32, has_triton=can, asked=asked)
    return ["torch"] if kernel == "torch" else ["torch", kernel]


def inputs(machine: Machine, lengths: list[int]) -> Inputs:
    """States, matrix and bias of float32 such that some 13 % of the terms are active."""
    generator, size = torch.Generator().manual_seed(0), machine.sizes
    states = torch.randn(sum(lengths), size.width, generator=generator)
    weight = torch.randn(size.terms, size.width, generator=generator) * 0.55 / size.width**0.5
    bias = torch.full((size.terms,), -1.8)
    made = (part.to(machine.device).requires_grad_() for part in (states, weight, bias))
    return tuple(made)  # type: ignore[return-value]


def lengths_of(machine: Machine, ragged: bool) -> list[int]:
    """Lengths of the texts, all alike or from a twelfth on."""
    size = machine.sizes
    least = max(size.length // 12, 1) if ragged else size.length
    return torch.randint(least, size.length + 1, (size.texts,), generator=torch.Generator().manual_seed(1)).tolist()


@contextmanager
def products(tf32: bool) -> Iterator[None]:
    """A block in which float32 products are taken in TF32, or are not."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


def head(machine: Machine) -> Iterator[Row]:
    """Values, gradients and times of every way, type and kind of batch."""
    for ragged in (False, True):
        lengths = lengths_of(machine, ragged)
        given = inputs(machine, lengths)
        for agg in ("max", "sum"):
            exact = _outcome(tuple(part.detach().double().requires_grad_() for part in given), lengths, agg, "torch")
            for dtype, tf32 in _arithmetics(machine):
                for way in ways(machine, dtype, tf32):
                    with products(tf32):
                        row = _measured(machine, given, lengths, agg, dtype, way, exact)
                    like = torch.float16 if tf32 else dtype  # of as many bits
                    good = row["weights_off"] <= TOLERANCE[like] and row["gradients_turned"] <= TURNED[like]
                    about = {"ragged": ragged, "agg": agg, "dtype": name_of(dtype), "tf32": tf32, "way": way}
                    yield about | row | {"ok": good}


def _arithmetics(machine: Machine) -> list[tuple[torch.dtype, bool]]:
    tf32 = [(torch.float32, True)] if machine.capability >= gpu.TENSOR_CORES else []
    return [*((dtype, False) for dtype in machine.types), *tf32]


def _outcome(given: tuple[Tensor, ...], lengths: list[int], agg: str, way: str) -> list[Tensor]:
    """Weights and gradients in the type of what is given."""
    weights, _ = pool_tokens(*given, lengths, agg, "log1p_relu", given[1].dtype, way)
    return [weights.detach(), *torch.autograd.grad(weights.square().sum(), given)]


def _measured(
    machine: Machine, given: Inputs, lengths: list[int], agg: str, dtype: torch.dtype, way: str, exact: list[Tensor]
) -> Row:
    states = given[0].detach().to(dtype).requires_grad_()  # as a transformer hands them on
    parts = (states, *given[1:])

    def forward() -> Tensor:
        return pool_tokens(*parts, lengths, agg, "log1p_relu", dtype, way)[0]

    weights = forward()
    loss = weights.square().sum()
    found = [weights.detach(), *torch.autograd.grad(loss, parts, retain_graph=True)]
    turned = [
        1 - float(torch.cosine_similarity(mine.double().flatten(), right.flatten(), dim=0))
        for mine, right in zip(found[1:], exact[1:], strict=True)
    ]
    took = machine.milliseconds(forward)
    flop = 2 * sum(lengths) * given[1].numel()
    return {
        "weights_off": float((found[0] - exact[0]).abs().max() / exact[0].max()),
        "gradients_turned": max(turned),
        "active": float((weights > 0).float().mean()),
        "forward_ms": took,
        "teraflops": flop / took / 1e9,
        "backward_ms": machine.milliseconds(lambda: torch.autograd.grad(loss, parts, retain_graph=True)),
        "peak_gib": machine.peak_gib(lambda: torch.autograd.grad(forward().square().sum(), parts)),
    }


def plain(machine: Machine) -> Iterator[Row]:
    """The head in plain autograd, all logits of a chunk of the vocabulary kept, for comparison."""
    size, lengths = machine.sizes, lengths_of(machine, False)
    states, weight, bias = inputs(machine, lengths)
    decoder = torch.nn.Linear(size.width, size.terms, device=machine.device)
    decoder.weight, decoder.bias = torch.nn.Parameter(weight.detach()), torch.nn.Parameter(bias.detach())
    mask = torch.ones(size.texts, size.length, device=machine.device)
    for dtype in machine.types:
        hidden = states.detach().to(dtype).view(size.texts, size.length, -1).requires_grad_()

        def both(hidden: Tensor = hidden, dtype: torch.dtype = dtype) -> None:
            with machine.autocast(dtype):
                weights = pool_logits(hidden, decoder, mask, "max", "log1p_relu")
            weights.square().sum().backward()

        yield {
            "dtype": name_of(dtype),
            "forward_backward_ms": machine.milliseconds(both, 3, 1),
            "peak_gib": machine.peak_gib(both),
        }


def groups(machine: Machine) -> Iterator[Row]:
    """The kernel with fewer and more texts sharing a block of the matrix: one text, as usual, all texts."""
    lengths, dtype = lengths_of(machine, False), machine.types[0]
    way = ways(machine, dtype)[-1]
    if way == "torch":
        return
    from splade.models.heads import triton_head

    given, former = inputs(machine, lengths), triton_head.CACHED
    for octets in (1, former, 1 << 40):
        triton_head.CACHED = octets
        try:
            took = machine.milliseconds(lambda: pool_tokens(*given, lengths, "max", "log1p_relu", dtype, way))
        finally:
            triton_head.CACHED = former
        yield {"dtype": name_of(dtype), "cached_bytes": octets, "forward_ms": took}


def tiles(machine: Machine) -> Iterator[Row]:
    """The kernel with tiles of other sizes; those that do not fit say so."""
    lengths, dtype = lengths_of(machine, False), machine.types[0]
    way = ways(machine, dtype)[-1]
    if way == "torch":
        return
    from splade.models.heads import triton_head
    from splade.models.heads.triton_head import Tiles

    states, weight, bias = (part.detach() for part in inputs(machine, lengths))
    packed = Packed(states.to(dtype), tuple(lengths), weight.to(dtype), bias, dtype)
    others = (Tiles(64, 128, 64, 4), Tiles(128, 128, 64, 8), Tiles(128, 128, 32, 8), Tiles(64, 256, 64, 8))
    for sizes in (triton_head.TILES[way], *others):
        run = partial(triton_head.pool, packed, "max", "log1p_relu", way, sizes)
        row: Row = {"dtype": name_of(dtype), "tiles": list(sizes)}
        try:
            yield row | {"forward_ms": machine.milliseconds(run)}
        except Exception as error:  # Triton raises its own kinds of these
            yield row | {"refused": f"{type(error).__name__}: {error}"[:200]}


def nan(machine: Machine) -> Iterator[Row]:
    """What is no number or infinite in the first text is seen in its weights, and in no other text's."""
    lengths = lengths_of(machine, False)
    for value in (float("nan"), float("inf")):
        states, weight, bias = (part.detach() for part in inputs(machine, lengths))
        states = states.clone()
        states[lengths[0] - 1] = value
        for dtype in machine.types:
            for agg in ("max", "sum"):
                for way in ways(machine, dtype):
                    weights, _ = pool_tokens(states, weight, bias, lengths, agg, "log1p_relu", dtype, way)
                    ok = not weights[0].isfinite().any() and bool(weights[1:].isfinite().all())
                    yield {"value": str(value), "dtype": name_of(dtype), "agg": agg, "way": way, "ok": ok}
