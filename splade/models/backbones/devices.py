"""The devices of a process: what its processor can do, and its GPU, one for each process of a machine."""

import logging
import os
from collections.abc import Mapping, Set
from functools import lru_cache
from pathlib import Path

import torch

from splade.files import InputError

logger = logging.getLogger(__name__)

CPUINFO = Path("/proc/cpuinfo")
CPU_FLAGS = {
    torch.bfloat16: {"avx512_bf16", "amx_bf16", "bf16"},
    torch.float16: {"amx_fp16", "avx512_fp16", "asimdhp"},
}
"""What Linux says of processors, x86 and Arm, that have a type; one of each is enough."""


@lru_cache(maxsize=1)
def cpu_flags(source: Path = CPUINFO) -> Set[str]:
    """Return the processor's feature flags as Linux lists them; empty on other systems."""
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(listed, "").split())


def device_name(environment: Mapping[str, str], n_devices: int) -> str:
    """The device of a process, as torch calls it, where ``n_devices`` GPUs are visible to it.

    ``cpu`` where there is none. Process number ``LOCAL_RANK`` of a machine (torchrun; ``SLURM_LOCALID`` of several
    tasks) has the GPU of that number, counted around: a scheduler that shows each task one GPU calls it 0 in every
    task. ``cuda``, torch's current GPU, for a process launched alone. InputError where the number is none.
    """
    if n_devices == 0:
        return "cpu"
    number = local_rank(environment)
    return "cuda" if number is None else f"cuda:{number % n_devices}"


def local_rank(environment: Mapping[str, str]) -> int | None:
    """The number of this process on its machine; None where it was launched alone."""
    name = "LOCAL_RANK"
    if name not in environment and environment.get("SLURM_NTASKS", "1") != "1":
        name = "SLURM_LOCALID"
    if name not in environment:
        return None
    if not environment[name].isdecimal():
        raise InputError(
            f"{name}={environment[name]} in the environment: expected a number from 0, as torchrun sets it"
        )
    return int(environment[name])


def n_visible() -> int:
    """The number of GPUs that this process sees."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def own_device(environment: Mapping[str, str] | None = None) -> torch.device:
    """The device of this process by ``environment`` (None: its own), which becomes torch's current one."""
    device = torch.device(device_name(os.environ if environment is None else environment, n_visible()))
    if device.index is not None:
        torch.cuda.set_device(device)
    return device


def unused_gpus(environment: Mapping[str, str], n_devices: int) -> str | None:
    """Return advice for a process that leaves some of the ``n_devices`` visible GPUs unused; None for any other."""
    if n_devices < 2 or local_rank(environment) is not None or environment.get("WORLD_SIZE", "1") != "1":
        return None
    return (
        f"{n_devices} GPUs are visible, and this process alone uses one of them. To use all, launch the command with "
        f"torchrun --nproc_per_node {n_devices} -m instead of python -m; to use one, show it one: "
        "CUDA_VISIBLE_DEVICES=0"
    )


def tell_unused_gpus(environment: Mapping[str, str]) -> None:
    """Warn where this process leaves visible GPUs unused."""
    told = unused_gpus(environment, n_visible())
    if told is not None:
        logger.warning(told)
