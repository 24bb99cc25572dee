"""What a training step is made of: dropout, the encoder with its profile, host syncs, the objective, the loss scale."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.gpu.machine import Machine, Row, name_of
from splade.losses import InBatchPairwiseNLL
from splade.models.backbones.dropout import TextDropout
from splade.models.encoders.mlm import MlmEncoder
from splade.regularization.measures import FLOPS
from splade.regularization.penalties import Penalty
from splade.training.step.objective import Objective
from splade.training.step.optimizer import Precision

Work = Callable[[], object]
KERNELS = 15  # of a profile that are told


def keys(machine: Machine) -> Tensor:
    """A key of dropout for each text."""
    return torch.randint(0, 2**62, (machine.sizes.texts,), device=machine.device)


def dropout(machine: Machine) -> Iterator[Row]:
    """Torch's dropout and ours, of hidden states and inside attention."""
    size, dtype = machine.sizes, machine.types[0]
    shape = size.texts, size.heads, size.length, size.width // size.heads

    def made(*sizes: int) -> Tensor:
        return torch.randn(*sizes, device=machine.device, dtype=dtype, requires_grad=True)

    hidden = made(size.texts, size.length, size.width)
    query, key, value = made(*shape), made(*shape), made(*shape)
    mask = torch.ones(size.texts, 1, 1, size.length, device=machine.device, dtype=torch.bool)
    calls: dict[str, Callable[[], Tensor]] = {
        "hidden states": lambda: F.dropout(hidden, 0.1, True),
        "attention": lambda: F.scaled_dot_product_attention(query, key, value, mask, 0.1),
    }
    for what, call in calls.items():
        for ours in (False, True):

            def both(call: Callable[[], Tensor] = call, ours: bool = ours) -> None:
                with TextDropout(keys(machine)).active() if ours else nullcontext():
                    call().sum().backward()

            times = {"forward_backward_ms": machine.milliseconds(both), "peak_gib": machine.peak_gib(both)}
            yield {"of": what, "masks": "ours" if ours else "torch", "dtype": name_of(dtype)} | times


def step_of(machine: Machine, model: MlmEncoder, dtype: torch.dtype, ours: bool = True) -> Work:
    """Forward and backward of a batch, with dropout."""
    ids, mask = machine.tokens(machine.sizes.texts)
    drawn = keys(machine)

    def run() -> None:
        with TextDropout(drawn).active() if ours else nullcontext(), machine.autocast(dtype):
            weights = model(ids, mask)
        weights.square().mean().backward()
        model.zero_grad(set_to_none=True)

    return run


def encoder(machine: Machine) -> Iterator[Row]:
    """Times of an encoder's forward and backward by type and kind of mask, and where the time of the first goes."""
    for kind in ("DistilBert", "Bert"):
        with machine.encoder(kind) as model:
            model.train()
            for dtype in machine.types:
                for ours in (True, False):
                    run = step_of(machine, model, dtype, ours)
                    times = {"forward_backward_ms": machine.milliseconds(run, 5), "peak_gib": machine.peak_gib(run)}
                    yield {"kind": kind, "dtype": name_of(dtype), "masks": "ours" if ours else "torch"} | times
            if kind == "DistilBert":
                yield from profile(machine, step_of(machine, model, machine.types[0]))


def profile(machine: Machine, run: Work) -> Iterator[Row]:
    """The kernels (on a processor: operators) that take the most time of ``run``, in microseconds."""
    activity = torch.profiler.ProfilerActivity
    run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the profiler itself calls
        with torch.profiler.profile(activities=[activity.CUDA if machine.is_gpu else activity.CPU]) as seen:
            run()
            machine.finish()
        name = "self_device_time_total" if machine.is_gpu else "self_cpu_time_total"
        events = sorted(seen.key_averages(), key=lambda event: -getattr(event, name, 0.0))
    for event in events[:KERNELS]:
        yield {"kernel": event.key[:120], "calls": event.count, "microseconds": getattr(event, name, 0.0)}


def syncs(machine: Machine) -> Iterator[Row]:
    """Places at which the host waits for the device in one step; none are found on a processor."""
    with machine.encoder() as model:
        run = step_of(machine, model.train(), machine.types[0])
        run()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            if machine.is_gpu:
                torch.cuda.set_sync_debug_mode("warn")
            try:
                run()
            finally:
                if machine.is_gpu:
                    torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in seen if "synchroniz" in str(each.message)]
    where = Counter(f"{Path(each.filename).name}:{each.lineno}" for each in waits)
    yield {"host_syncs": len(waits), "where": dict(where.most_common(20))}


def objective(machine: Machine) -> Iterator[Row]:
    """Loss and penalties of a large batch, with their gradient."""
    n_queries, n_documents = machine.sizes.objective
    penalties = [Penalty("FLOPS", side, FLOPS(), lambda _: 0.1) for side in ("query", "document")]
    ask = Objective(InBatchPairwiseNLL(), penalties, in_batch=True, penalty_documents="slot")

    def vectors(n: int) -> Tensor:
        return (torch.rand(n, machine.sizes.terms, device=machine.device) < 0.01).float().requires_grad_()

    queries, documents = vectors(n_queries), vectors(n_queries * n_documents)

    def both() -> None:
        queries.grad = documents.grad = None
        ask(queries, documents.unflatten(0, (-1, n_documents)), None, 0).total.backward()

    times = {"forward_backward_ms": machine.milliseconds(both, 3), "peak_gib": machine.peak_gib(both)}
    held = documents.numel() * 4 / 2**30
    yield {"queries": n_queries, "documents": n_documents, "vectors_gib": held} | times


def scaler(machine: Machine) -> Iterator[Row]:
    """Steps in fp16 with a loss scale: the scale comes down to where gradients are finite, and the weights move."""
    with machine.encoder() as model:
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        precision = Precision(machine.device, fp16=machine.is_gpu)
        before = [weight.detach().clone() for weight in model.parameters()]
        ids, mask = machine.tokens(machine.sizes.texts)
        scales, norms = [], []
        for _ in range(12):
            optimizer.zero_grad(set_to_none=True)
            with precision.autocast():
                weights = model(ids, mask)
            precision.scaled(weights.mean()).backward()
            norms.append(precision.clip(optimizer, 1.0))
            precision.apply(optimizer)
            scales.append(precision.scaler.get_scale())
        after = list(model.parameters())
        moved = any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
        finite = all(bool(weight.isfinite().all()) for weight in after)
        yield {"scales": scales, "norms": [str(norm) for norm in norms], "ok": moved and finite}
