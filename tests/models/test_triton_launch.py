"""Around the kernel: which program does what, on which device it is launched, and what it asks of GPUs.

Compiled ahead of time, for GPUs that are not there.
"""

import logging
import re
import shutil
import subprocess
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton is not installed: it is made for Linux on x86-64")

from splade.models import triton_head  # noqa: E402
from splade.models.packed import Packed  # noqa: E402
from splade.models.triton_head import TILES, Tiles, options, pool, texts_together  # noqa: E402

SHARED = {80: 163 << 10, 86: 99 << 10, 90: 227 << 10, 120: 99 << 10}
"""Bytes of shared memory that one program may have, by compute capability (CUDA C++ Programming Guide, table of
technical specifications)."""
PRODUCT = re.compile(r"\b(mma\.sync|wgmma\.mma_async|tcgen05\.mma)\S*\.(f16|bf16|tf32)\b")
POINTERS = {"bias": "*fp32", "starts": "*i64", "pooled": "*fp32", "places": "*i16"}
NUMBERS = {"n_texts": "i32", "n_terms": "i32", "width": "i32", "n_together": "i32"}
ALIGNED = ("tokens", "weight", *POINTERS, "width")  # by 16, as Triton finds of these arguments when it launches


def compiled(capability, kind, agg, way, monkeypatch, folder):
    """The kernel as ``capability`` (90) gets it: its PTX and shared memory."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder))
    names = triton_head._pool.arg_names
    types = {"tokens": f"*{kind}", "weight": f"*{kind}", **POINTERS, **NUMBERS}
    source = triton.compiler.ASTSource(
        triton_head._pool,
        {name: types.get(name, "constexpr") for name in names},
        options(agg, "log1p_log1p_relu", way, True, TILES[way]),
        {(names.index(name),): [["tt.divisibility", 16]] for name in ALIGNED},
    )
    target = triton.backends.compiler.GPUTarget("cuda", capability, 32)
    chosen = {"num_warps": TILES[way].warps, "num_stages": TILES[way].stages}
    return triton.compile(source, target=target, options=chosen)


def spilt(ptx, capability, folder):
    """Bytes of registers that a thread keeps in memory for want of room, as NVIDIA's assembler says."""
    programs = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    program = programs / ("ptxas-blackwell" if capability >= 100 else "ptxas")
    (folder / "kernel.ptx").write_text(ptx)
    name = f"sm_{capability}" + "a" * (capability >= 90)
    said = subprocess.run(
        [program, "-v", f"--gpu-name={name}", "kernel.ptx", "-o", "kernel.cubin"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    ).stderr
    return [int(octets) for octets in re.findall(r"(\d+) bytes spill (?:stores|loads)", said)]


CASES = [
    *((capability, kind, "max", "half") for capability in SHARED for kind in ("fp16", "bf16")),
    *((capability, "bf16", "sum", "half") for capability in SHARED),
    *((capability, "fp32", "max", "tf32") for capability in SHARED),
    *((capability, "fp32", "max", "ieee") for capability in (80, 90)),
]


@pytest.mark.parametrize(("capability", "kind", "agg", "way"), CASES)
def test_the_kernel_compiles_for_gpus_that_are_not_here(capability, kind, agg, way, monkeypatch, tmp_path):
    kernel = compiled(capability, kind, agg, way, monkeypatch, tmp_path)
    ptx = kernel.asm["ptx"]
    assert kernel.metadata.shared <= SHARED[capability]
    types = {"fp16": "f16", "bf16": "bf16", "fp32": "tf32"}
    assert {found[2] for found in PRODUCT.finditer(ptx)} == ({types[kind]} if way != "ieee" else set())
    assert spilt(ptx, capability, tmp_path) == [0, 0]  # stores, loads
