"""The number formats that a device computes in natively.

Emulated half precision is several times slower than float32, so it is not used.
"""

import logging

import torch

from splade.models.backbones.devices import CPU_FLAGS, cpu_flags

logger = logging.getLogger(__name__)

INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"}


def precision_of(device: torch.device, *, fp16: bool = False, bf16: bool = False) -> torch.dtype:
    """The type to compute in: that asked for where ``device`` has it natively; else, with a warning, another.

    On a GPU without bfloat16 that is float16, elsewhere float32.
    Raises ValueError where both are asked for.
    """
    if fp16 and bf16:
        raise ValueError("init_dict.fp16 and init_dict.bf16 are both true; choose one")
    asked = torch.float16 if fp16 else torch.bfloat16 if bf16 else torch.float32
    used = native_type(asked, device)
    if used is not asked:
        logger.warning(
            "%s: %s has no %s of its own, and emulating it is slower than float32; encoding in %s",
            "init_dict.fp16" if fp16 else "init_dict.bf16",
            "this processor" if device.type == "cpu" else device,
            name_of(asked),
            name_of(used),
        )
    return used


def has_int8(device: torch.device) -> bool:
    """True where 8-bit products are worth it: ``device`` is a CPU that has instructions for them."""
    return device.type == "cpu" and bool(INT8_FLAGS & cpu_flags())


def native_type(asked: torch.dtype, device: torch.device) -> torch.dtype:
    """The type for matrix products on ``device`` that is nearest to ``asked`` without emulation.

    float32 where nothing is known of the device.
    """
    if asked is torch.float32:
        return asked
    if device.type == "cuda":
        return type_by_capability(asked, torch.cuda.get_device_capability(device))
    return asked if device.type == "cpu" and CPU_FLAGS[asked] & cpu_flags() else torch.float32


def type_by_capability(asked: torch.dtype, capability: tuple[int, int]) -> torch.dtype:
    """The half type that GPUs of a compute capability multiply in their tensor cores, where one is ``asked`` for.

    bfloat16 from 8.0 on, float16 from 7.0 on: of the two, that asked for or float16; float32 below. PyTorch's own
    ``is_bf16_supported`` counts emulation, which is true of every GPU.
    """
    if asked is torch.bfloat16 and capability >= (8, 0):
        return torch.bfloat16
    return torch.float16 if capability >= (7, 0) else torch.float32


def name_of(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")
