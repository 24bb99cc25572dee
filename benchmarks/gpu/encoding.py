"""Encoding: documents a second by batch and type, and the transformer through torch.compile."""

import time
from collections.abc import Iterator

import torch

from benchmarks.gpu.machine import Machine, Row, name_of
from splade.encoding.compiled import Compiled
from splade.models.backbones.int8 import through
from splade.models.backbones.layouts import backbone_of

LENGTH = 80  # tokens of a passage


def encode(machine: Machine) -> Iterator[Row]:
    """Documents a second, to sparse rows on the host, by the number of texts at once."""
    with machine.encoder() as model:
        model.eval()
        for n_texts in machine.sizes.batches:
            ids, mask = machine.tokens(n_texts, min(LENGTH, machine.sizes.length))
            for dtype in machine.types:

                def run(ids: torch.Tensor = ids, mask: torch.Tensor = mask, dtype: torch.dtype = dtype) -> None:
                    with torch.inference_mode(), machine.autocast(dtype):
                        model.rows(ids, mask)

                took = machine.milliseconds(run, 5)
                peak = machine.peak_gib(run)
                about = {"texts": n_texts, "dtype": name_of(dtype)}
                yield about | {"documents_per_second": n_texts * 1e3 / took, "ms": took, "peak_gib": peak}


def compiled(machine: Machine) -> Iterator[Row]:
    """Batches of several lengths through the compiled transformer: seconds of the first call, then milliseconds."""
    if not machine.is_gpu:  # the tests of config.compile do this on a processor
        yield {"skipped": "no GPU"}
        return
    dtype = machine.types[0]
    with machine.encoder() as model:
        model.eval()
        backbone = Compiled(backbone_of(model.mlm))
        for length in (256, 80, 33, 200):
            ids, mask = machine.tokens(machine.sizes.texts, length)

            def run(ids: torch.Tensor = ids, mask: torch.Tensor = mask) -> None:
                with torch.inference_mode(), machine.autocast(dtype), through(model, backbone):
                    model(ids, mask)

            start = time.perf_counter()
            run()
            machine.finish()
            first = time.perf_counter() - start
            yield {"length": length, "dtype": name_of(dtype), "first_s": first, "ms": machine.milliseconds(run)}
