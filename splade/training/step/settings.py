"""The settings of a training, with their checks; ``Trainer`` takes them as keyword arguments."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePath
from typing import Any

import torch

logger = logging.getLogger(__name__)


NO_ARITHMETIC: tuple[str, ...] = (
    *("checkpoint_dir", "device", "resume", "tensorboard"),
    *("micro_batch_size", "micro_batch_tokens", "gradient_checkpointing", "fsdp"),
)
"""Settings that may differ when a training is continued: they decide where and how, not what, is computed."""


@dataclass(kw_only=True)
class TrainingSettings:
    """The settings of a training; a step is an optimizer step throughout."""

    checkpoint_dir: str | Path  # everything is written below it
    nb_iterations: int  # steps of the whole training; may grow when a run is continued
    train_batch_size: int  # examples per global batch, over all processes
    lr: float = 2e-5  # at the end of the warm-up
    lr_query_table: float | None = None  # of tables of query tokens, which do not decay; None: lr
    weight_decay: float = 0.01  # not of biases and norms
    warmup_steps: int = 0
    micro_batch_size: int | None = None  # examples encoded at once; None: any number
    micro_batch_tokens: int | None = None  # tokens encoded at once, padding counted; None: any number
    gradient_checkpointing: bool = False  # compute the encoders' states again for the gradient instead of keeping them
    fsdp: bool = False  # spread weights, gradients and optimizer state over the processes
    gradient_accumulation_steps: int = 1  # global batches per step; their losses are averaged
    max_grad_norm: float | None = 1.0  # None or 0: no clipping
    ema_decay: float = 0.0  # of an average of the weights, which is validated and saved in their place; 0: none
    fp16: bool = False  # CUDA only, float32 with a warning elsewhere
    bf16: bool = False
    seed: int = 0
    in_batch_negatives: bool = False  # score queries against documents of the whole batch
    teacher_temperature: float = 1.0  # divides the teacher's scores before any loss
    mask_answers: bool = True  # a document known to answer a query is none of its in-batch negatives
    penalty_documents: str = "slot"  # or "pooled"; see splade.training.step.objective.Objective
    validation_loss_examples: int = 0  # held out from training, chosen by the seed
    validation_metrics: Sequence[str] = ()  # of the full ranking
    monitoring_ckpt: str | None = None  # "loss" or a metric: what best weights means; None keeps the last ones
    train_monitoring_freq: int = 100  # steps between rows of the log
    record_frequency: int = 10_000  # steps between validations, each with a checkpoint
    early_stopping: bool = False
    patience: int = 3  # validations in a row without improvement after which it stops
    overwrite_final: bool = False  # model/ holds the last weights in the end instead of the best
    resume: bool = True  # False discards what checkpoint_dir holds of an earlier training
    device: str | torch.device | None = None  # None: this process's GPU where there is one
    tensorboard: bool = True

    def check_settings(self) -> None:
        """Raise ValueError naming the first setting out of its range, with its config address."""
        at_least_one = (
            "nb_iterations train_batch_size gradient_accumulation_steps train_monitoring_freq record_frequency patience"
        )
        for name in at_least_one.split():
            self._within(name, 1)
        for name in ("lr", "weight_decay", "warmup_steps", "seed", "validation_loss_examples"):
            self._within(name, 0)
        if self.lr_query_table is not None:
            self._within("lr_query_table", 0)
        for name in ("micro_batch_size", "micro_batch_tokens"):
            if getattr(self, name) is not None:
                self._within(name, 1)
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"config.ema_decay must be at least 0 and below 1, got {self.ema_decay!r}")
        if not self.teacher_temperature > 0:
            raise ValueError(f"config.teacher.temperature must be above 0, got {self.teacher_temperature!r}")
        if self.max_grad_norm is not None:
            self._within("max_grad_norm", 0)
        if self.warmup_steps > self.nb_iterations:
            logger.warning(
                "config.warmup_steps=%d is more than config.nb_iterations=%d: the rate never reaches config.lr",
                self.warmup_steps,
                self.nb_iterations,
            )
        self.validation_metrics = tuple(self.validation_metrics)

    def described(self) -> dict[str, Any]:
        """The settings that decide the weights whatever the model is, as plain values for JSON."""
        named = [field.name for field in fields(TrainingSettings) if field.name not in NO_ARITHMETIC]
        return {name: plain(getattr(self, name)) for name in named}

    def _within(self, name: str, least: float) -> None:
        value = getattr(self, name)
        if not value >= least:
            raise ValueError(f"config.{name} must be at least {least}, got {value!r}")


def plain(value: Any) -> Any:
    """``value`` as JSON holds it; an object as its class and public attributes: equal settings, equal values."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, PurePath | torch.device):
        return str(value)
    if hasattr(value, "items"):
        return {str(key): plain(inner) for key, inner in value.items()}
    if hasattr(value, "__iter__"):
        return [plain(inner) for inner in value]
    settings = {name: each for name, each in getattr(value, "__dict__", {}).items() if not name.startswith("_")}
    return {"class": type(value).__name__, **plain(settings)}
