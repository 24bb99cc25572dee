"""What this machine's processor can do, as Linux lists it."""

from collections.abc import Set
from functools import lru_cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
CPU_FLAGS = {
    torch.bfloat16: {"avx512_bf16", "amx_bf16", "bf16"},
    torch.float16: {"amx_fp16", "avx512_fp16", "asimdhp"},
}
"""What Linux says of processors, x86 and Arm, that have a type; one of each is enough."""


@lru_cache(maxsize=1)
def cpu_flags(source: Path = CPUINFO) -> Set[str]:
    """What the processor can do, as Linux lists it; nothing elsewhere."""
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())
