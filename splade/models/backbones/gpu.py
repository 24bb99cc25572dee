"""Decide how a command's GPUs compute: which head, TF32 or not, and whether this torch has code for them.

Decisions are functions of plain values, tested where there is no GPU. ``prepare`` applies the settings.
"""

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from splade.files import InputError
from splade.models.backbones.devices import n_visible

logger = logging.getLogger(__name__)

HEADS = ("triton", "torch")
TENSOR_CORES = (8, 0)  # the compute capability from which Triton multiplies on them
PRECISIONS = {torch.float16: "half", torch.bfloat16: "half", torch.float32: "ieee"}
"""Types of the product that the kernel takes, and what it calls them; float32 is "tf32" where that is on."""
COMPILERS = ("gcc", "clang")
ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)([af]?)")


class Gpu(NamedTuple):
    """One device, as CUDA numbers it."""

    number: int
    name: str
    capability: tuple[int, int]


class Choice:
    """The kind of head that this process asked for, until ``prepare`` is called again; None leaves it open."""

    head: str | None = None


choice = Choice()


def prepare(head: str | None = None, tf32: bool | None = None) -> None:
    """Apply ``config.cuda_head`` and ``config.tf32`` (None: the fastest head, and torch's own setting).

    InputError where the head is unknown or cannot be had here, or where this build of torch has no code for any of the
    visible GPUs; a warning where it has none for some, or has no CUDA at all beside an NVIDIA driver.
    """
    if head not in (None, *HEADS):
        raise InputError(f"config.cuda_head must be one of {', '.join(HEADS)}, got {head!r}")
    gpus = visible_gpus()
    if head == "triton":
        for each in gpus:
            _refuse_triton(each.capability, has_triton())
    choice.head = head
    if tf32 is not None:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
    check_gpus(gpus, torch.cuda.get_arch_list() if torch.cuda.is_available() else [])
    if torch.version.cuda is None and torch.version.hip is None and Path("/dev/nvidia0").exists():
        logger.warning("this build of torch (%s) has no CUDA: the GPU is not used (docs/gpu.md)", torch.__version__)


def way_of(
    capability: tuple[int, int], dtype: torch.dtype, *, tf32: bool, has_triton: bool, asked: str | None = None
) -> str:
    """The way of a head with products in ``dtype``: "torch", or what the Triton kernel is to multiply in.

    The kernel is for products on tensor cores, from capability 8.0 on: half types, and float32 in TF32. Other products
    are faster in the device's own library, as all are below 8.0. ``asked`` (triton or torch) decides otherwise;
    InputError where Triton is asked for and cannot be had.
    """
    precision = PRECISIONS.get(dtype)
    if precision is None or asked == "torch":
        return "torch"
    if precision == "ieee" and tf32:
        precision = "tf32"
    if asked == "triton":
        _refuse_triton(capability, has_triton)
        return precision
    return precision if has_triton and capability >= TENSOR_CORES and precision != "ieee" else "torch"


def _refuse_triton(capability: tuple[int, int], has_triton: bool) -> None:
    if capability < TENSOR_CORES:
        raise InputError(
            f"config.cuda_head=triton needs a GPU of compute capability {_dotted(TENSOR_CORES)} or more, and this one "
            f"has {_dotted(capability)}: remove it, or set config.cuda_head=torch"
        )
    if not has_triton:
        raise InputError(
            "config.cuda_head=triton needs Triton and a C compiler (gcc or clang, or the one that CC names): install "
            "them, or set config.cuda_head=torch"
        )


def way_on(device: torch.device, dtype: torch.dtype) -> str:
    """As :func:`way_of`, for this process's settings on a CUDA ``device``."""
    capability = torch.cuda.get_device_capability(device)  # kept by torch
    return way_of(capability, dtype, tf32=tf32_is_on(), has_triton=has_triton(), asked=choice.head)


@lru_cache(maxsize=1)
def has_triton() -> bool:
    """True where Triton is installed and can launch kernels; warn where it is installed and cannot."""
    installed = find_spec("triton") is not None
    launches = can_launch(os.environ)
    if installed and not launches:
        logger.warning("Triton needs a C compiler to launch kernels and there is none: the head is computed by torch")
    return installed and launches


def can_launch(environment: Mapping[str, str]) -> bool:
    """True where the environment has a C compiler for Triton, which launches nothing without one."""
    return bool(environment.get("CC")) or any(shutil.which(name, path=environment.get("PATH")) for name in COMPILERS)


def tf32_is_on() -> bool:
    """True where torch is set to compute float32 products on CUDA in TF32; no version of torch raises here."""
    matmul: Any = torch.backends.cuda.matmul
    precision = getattr(matmul, "fp32_precision", None)  # torch from 2.9 on, where allow_tf32 may raise
    return bool(matmul.allow_tf32) if precision is None else precision == "tf32"


def takes_tf32(device: torch.device) -> bool:
    """True where float32 products on ``device`` are computed in TF32."""
    return device.type == "cuda" and tf32_is_on() and torch.cuda.get_device_capability(device) >= TENSOR_CORES


def visible_gpus() -> list[Gpu]:
    """The CUDA devices of this process."""
    return [
        Gpu(number, torch.cuda.get_device_name(number), torch.cuda.get_device_capability(number))
        for number in range(n_visible())
    ]


def check_gpus(gpus: Sequence[Gpu], architectures: Sequence[str]) -> None:
    """InputError where torch, built for ``architectures``, runs on none of ``gpus``; a warning where not on all."""
    unfit = [gpu for gpu in gpus if not runs_on(gpu.capability, architectures)]
    if not unfit:
        return
    named = ", ".join(
        f"GPU {gpu.number} ({gpu.name}) has compute capability {_dotted(gpu.capability)}" for gpu in unfit
    )
    problem = f"{named}, and this build of torch ({torch.__version__}) has code for {', '.join(architectures)} alone"
    if len(unfit) < len(gpus):
        logger.warning("%s: choose others with CUDA_VISIBLE_DEVICES, or another build (docs/gpu.md)", problem)
        return
    raise InputError(
        f"{problem}. Install a build that has code for it, as those for CUDA 12.6 have for V100 (docs/gpu.md), or "
        "compute on the processor with CUDA_VISIBLE_DEVICES=''"
    )


def runs_on(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """True where code for ``architectures``, as ``torch.cuda.get_arch_list`` names them, runs on such a GPU.

    Machine code (sm) runs on later minor versions of its major one, PTX (compute) on all later ones; code of a name
    that ends in "a" on that version alone, in "f" on its major one. True where no name is known.
    """
    found = [ARCHITECTURE.fullmatch(name) for name in architectures]
    known = [(each[1], divmod(int(each[2]), 10), each[3]) for each in found if each]
    return not known or any(_fits(capability, *each) for each in known)


def _fits(capability: tuple[int, int], kind: str, least: tuple[int, int], suffix: str) -> bool:
    if suffix == "a":
        return capability == least
    same_major = capability[0] == least[0]
    return capability >= least and (same_major or (kind == "compute" and not suffix))


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))
