"""The GPU of a process: one for each process of a machine, whoever launched them."""

import logging
import os
from collections.abc import Mapping

import torch

from splade.files import InputError

logger = logging.getLogger(__name__)


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
    """What to tell the user of a process that leaves GPUs of the ``n_devices`` visible ones unused; else None."""
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
