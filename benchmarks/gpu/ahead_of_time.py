"""The kernel compiled for GPUs that are not here: python -m benchmarks.gpu.ahead_of_time prints what each gets.

Triton and NVIDIA's assembler, which comes with it, need neither a GPU nor a driver.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from splade.models.heads import triton_head
from splade.models.heads.triton_head import TILES, Tiles, options

SHARED = {80: 163 << 10, 86: 99 << 10, 90: 227 << 10, 120: 99 << 10}
"""Bytes of shared memory that one program may have, by compute capability (80: 8.0), as CUDA's programming guide lists
them."""
KINDS = {"fp16": "half", "bf16": "half", "fp32": "tf32"}
POINTERS = {"bias": "*fp32", "starts": "*i64", "pooled": "*fp32", "places": "*i16"}
NUMBERS = {"n_texts": "i32", "n_terms": "i32", "width": "i32", "n_together": "i32"}
ALIGNED = ("tokens", "weight", *POINTERS, "width")  # by 16, as Triton finds of these arguments when it launches
PRODUCT = re.compile(r"\b((?:mma\.sync|wgmma\.mma_async|tcgen05\.mma)\S*\.(f16|bf16|tf32))\b")


class Compiled(NamedTuple):
    """What a GPU gets."""

    shared: int  # bytes of a program
    registers: int  # of a thread
    spilt: int  # bytes that a thread's registers have no room for, stored and loaded
    products: set[str]  # types that tensor cores multiply
    instruction: str  # one of those; "" where there is none


def compiled(capability: int, kind: str, agg: str, way: str, tiles: Tiles | None = None) -> Compiled:
    """The kernel for ``capability`` (90), of states and matrix of a ``kind`` (fp16), multiplied in ``way``."""
    tiles = tiles or TILES[way]
    names = triton_head._pool.arg_names
    types = {"tokens": f"*{kind}", "weight": f"*{kind}", **POINTERS, **NUMBERS}
    source = ASTSource(
        triton_head._pool,
        {name: types.get(name, "constexpr") for name in names},
        options(agg, "log1p_relu", way, True, tiles),
        {(names.index(name),): [["tt.divisibility", 16]] for name in ALIGNED},
    )
    chosen = {"num_warps": tiles.warps, "num_stages": tiles.stages}
    kernel = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=chosen)
    ptx = kernel.asm["ptx"]
    said = _assembled(ptx, capability)
    registers = re.search(r"Used (\d+) registers", said)
    found = list(PRODUCT.finditer(ptx))
    return Compiled(
        kernel.metadata.shared,
        int(registers[1]) if registers else 0,
        sum(int(octets) for octets in re.findall(r"(\d+) bytes spill (?:stores|loads)", said)),
        {each[2] for each in found},
        found[0][1] if found else "",
    )


def _assembled(ptx: str, capability: int) -> str:
    """What NVIDIA's assembler says of a program."""
    programs = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    program = programs / ("ptxas-blackwell" if capability >= 100 else "ptxas")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(ptx)
        name = f"--gpu-name=sm_{capability}" + "a" * (capability >= 90)
        command = [program, "-v", name, "kernel.ptx", "-o", "kernel.cubin"]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stderr


def rows() -> Iterator[str]:
    """A line of a table for each GPU, type and aggregation."""
    yield "| capability | product | aggregation | shared memory | registers | spilt | instruction |"
    yield "|---|---|---|---|---|---|---|"
    for capability in SHARED:
        for kind, way in (*KINDS.items(), ("fp32", "ieee")):
            for agg in ("max", "sum"):
                found = compiled(capability, kind, agg, way)
                product = kind if way == "half" else way
                yield (
                    f"| {capability / 10} | {product} | {agg} | {found.shared >> 10} of {SHARED[capability] >> 10} KiB "
                    f"| {found.registers} | {found.spilt} | {found.instruction or 'fma'} |"
                )


if __name__ == "__main__":
    for line in rows():
        print(line, flush=True)
