"""What a device computes natively. Emulated half precision is several times slower than float32, so it is not used."""

import logging

import torch

from splade.models.processor import CPU_FLAGS, cpu_flags

logger = logging.getLogger(__name__)

INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"}


def precision_of(device: torch.device, *, fp16: bool = False, bf16: bool = False) -> torch.dtype:
    """The type to compute in: that asked for where ``device`` has it natively, else float32, with a warning.

    Raises ValueError where both are asked for.
    """
    if fp16 and bf16:
        raise ValueError("init_dict.fp16 and init_dict.bf16 are both true; choose one")
    asked = torch.float16 if fp16 else torch.bfloat16 if bf16 else torch.float32
    if asked is torch.float32 or is_native(asked, device):
        return asked
    logger.warning(
        "%s: %s has no %s of its own, and emulating it is slower than float32; encoding in float32",
        "init_dict.fp16" if fp16 else "init_dict.bf16",
        "this processor" if device.type == "cpu" else device,
        name_of(asked),
    )
    return torch.float32


def has_int8(device: torch.device) -> bool:
    """Whether 8-bit products are worth it on ``device``: on processors that have instructions for them."""
    return device.type == "cpu" and bool(INT8_FLAGS & cpu_flags())


def is_native(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether ``device`` multiplies matrices of float16 or bfloat16 without emulation; False where that is unknown."""
    if device.type == "cpu":
        return bool(CPU_FLAGS[dtype] & cpu_flags())
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= ((8, 0) if dtype is torch.bfloat16 else (7, 0))
    return False


def name_of(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")
