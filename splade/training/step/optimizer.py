"""AdamW's parameter groups, the learning rate at a step, mixed precision, and the check that figures are finite."""

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from splade.encoding.precision import native_type
from splade.files import InputError

logger = logging.getLogger(__name__)


def query_tables(model: nn.Module) -> list[nn.Parameter]:
    """The trainable parameters of tables of token weights (:mod:`splade.models.encoders.own_tokens`)."""
    tables = [module for module in model.modules() if getattr(module, "is_query_table", False)]
    return [parameter for table in tables for parameter in table.parameters() if parameter.requires_grad]


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two parameter groups: weights with ``weight_decay``; biases and norms without.

    Frozen parameters and those of query tables are in none.
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    seen = {id(parameter) for parameter in query_tables(model)}
    for module in model.modules():
        is_norm = "norm" in type(module).__name__.lower()
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                (spared if is_norm or name.endswith("bias") else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]


def adamw(model: nn.Module, lr: float, weight_decay: float, lr_query_table: float | None = None) -> AdamW:
    """AdamW (arXiv 1711.05101) over the trainable parameters of ``model``; InputError where there are none.

    Query tables do not decay and learn at ``lr_query_table`` (None: at ``lr``); InputError where it is given and
    there is no table that learns.
    """
    tables = query_tables(model)
    if lr_query_table is not None and not tables:
        raise InputError(
            f"config.lr_query_table={lr_query_table}: this model has no table of query tokens that learns; remove it, "
            "or choose model=splade_table, or model=splade_idf with init_dict.train_idf=true"
        )
    own = {"params": tables, "weight_decay": 0.0, "lr": lr if lr_query_table is None else lr_query_table}
    groups = [group for group in [*decay_groups(model, weight_decay), own] if group["params"]]
    if not groups:
        raise InputError("the model has no trainable parameter: everything is frozen (init_dict.freeze_d_model)")
    return AdamW(groups, lr=lr)


def learning_rates(optimizer: Optimizer) -> list[float]:
    """The rate of every group of ``optimizer``."""
    return [group["lr"] for group in optimizer.param_groups]


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """The share of the full rate for optimizer step ``step`` (from 0): linear up, then linear down.

    Step ``warmup_steps - 1`` has the full rate first, ``total_steps`` would have 0; no step taken has 0.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return max(total_steps - step, 0) / max(total_steps - warmup_steps, 1)


def set_learning_rates(optimizer: Optimizer, full: Sequence[float], factor: float) -> None:
    """Give every group of ``optimizer`` this share of its ``full`` rate."""
    for group, rate in zip(optimizer.param_groups, full, strict=True):
        group["lr"] = rate * factor


MOST_SKIPPED = 40  # steps in a row: the scale begins at 2^16, halves each time, and is 2^-24 then


class Precision:
    """The arithmetic of the encoders: float32, fp16 with a loss scaler (CUDA only), or bf16.

    ``fp16`` without CUDA warns and computes in float32, because published configs ask for it; so does ``bf16`` on a GPU
    without bfloat16, in fp16 or, where the loss may not be ``scaled``, in float32. Losses, penalties, gradients of
    representations and the optimizer are float32 in every mode.
    """

    def __init__(self, device: torch.device, *, fp16: bool = False, bf16: bool = False, scaled: bool = True) -> None:
        if fp16 and bf16:
            raise ValueError("fp16 and bf16 exclude each other: set one of them")
        if fp16 and device.type != "cuda":
            logger.warning("config.fp16: fp16 needs a CUDA device; training on %s runs in float32", device.type)
            fp16 = False
        if bf16 and device.type == "cuda" and (used := native_type(torch.bfloat16, device)) is not torch.bfloat16:
            fp16, bf16 = scaled and used is torch.float16, False
            logger.warning(
                "config.bf16: %s has no bfloat16 of its own, and emulating it is slower than float32; training in %s",
                device,
                "float16, with a loss scale" if fp16 else "float32",
            )
        if bf16 and device.type == "cpu":
            logger.warning("bf16 on a CPU without native support is emulated and several times slower than float32")
        self.device_type = device.type
        self.dtype = torch.float16 if fp16 else torch.bfloat16 if bf16 else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=fp16)
        self.skipped = 0  # steps in a row, up to the last one
        self.columns = ("loss_scale", "skipped") if fp16 else ()  # of what is logged

    def state(self) -> dict[str, Any]:
        """The loss scale and its history; empty without one."""
        return {**self.scaler.state_dict(), "skipped": self.skipped} if self.scaler.is_enabled() else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what ``state`` returned; nothing changes where one of the two has no loss scale."""
        if state and self.scaler.is_enabled():
            self.scaler.load_state_dict(dict(state))
            self.skipped = state.get("skipped", 0)

    def autocast(self) -> AbstractContextManager[object]:
        """The context to run an encoder in."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device_type, dtype=self.dtype)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to take gradients of."""
        return self.scaler.scale(loss)

    def clip(self, optimizer: Optimizer, max_grad_norm: float | None) -> float:
        """Bring the gradients to true scale and at most ``max_grad_norm`` (None: any); their norm before that."""
        self.scaler.unscale_(optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm: Any = nn.utils.clip_grad_norm_(parameters, max_grad_norm or float("inf"))
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)  # of gradients spread over ranks

    def apply(self, optimizer: Optimizer) -> bool:
        """One optimizer step, and whether it was taken: with fp16, infinite gradients lower the scale instead."""
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        taken = self.scaler.get_scale() >= before
        self.skipped = 0 if taken else self.skipped + 1
        return taken

    def logged(self) -> dict[str, float]:
        """Return what to log of the last step: the loss scale, and 1 where it was skipped; empty without a scale."""
        values = (self.scaler.get_scale(), float(self.skipped > 0))
        return dict(zip(self.columns, values, strict=True)) if self.columns else {}

    def check_progress(self, step: int, n_steps: int) -> None:
        """InputError where no step is ever taken: too many in a row, or all ``n_steps``, the last being ``step``."""
        if self.skipped < min(MOST_SKIPPED, n_steps):
            return
        raise InputError(
            f"the last {self.skipped} steps were skipped, up to step {step + 1}: gradients are too large for fp16 at "
            f"any loss scale (now {self.scaler.get_scale():.1e}), so the weights stand still. Do without fp16 "
            "(config.fp16=false; config.bf16=true where the GPU has it), in another config.checkpoint_dir or with "
            "config.resume=false, which discards this training; the last checkpoint is untouched"
        )


def check_finite(what: str, value: float, step: int) -> None:
    """InputError where ``what`` of step ``step`` (from 0) is not a number, with what to do about it."""
    if not math.isfinite(value):
        raise InputError(
            f"{what} is {value} at step {step + 1}: training diverged. Lower config.lr, lengthen config.warmup_steps, "
            "clip the gradients (config.max_grad_norm) or do without fp16, in another config.checkpoint_dir or with "
            "config.resume=false, which discards this training; the last checkpoint is untouched"
        )
