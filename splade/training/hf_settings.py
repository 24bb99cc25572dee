"""The settings of the multi-negative trainer, counted in epochs and per device, as those of our trainers."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

from splade.data import ExampleSource
from splade.files import InputError
from splade.training.distributed.processes import world

Trainer = TypeVar("Trainer")


def scheduled(
    *,
    trainer: Callable[..., Trainer],
    examples: ExampleSource,
    per_device_train_batch_size: int = 8,
    gradient_accumulation_steps: int = 1,
    num_train_epochs: float = 3,
    max_steps: int = -1,
    warmup_steps: int = 0,
    warmup_ratio: float = 0.0,
    held_out: int = 0,
    **parts: Any,
) -> Trainer:
    """``trainer(examples=…, nb_iterations=…, …, **parts)`` with steps and batch sizes worked out.

    The global batch holds ``per_device_train_batch_size`` examples for each process. ``max_steps`` above
    0 counts optimizer steps and wins over ``num_train_epochs``, as ``warmup_steps`` above 0 wins over
    ``warmup_ratio``. ``held_out`` examples are not trained on and not counted.
    """
    _, processes = world()
    batch = per_device_train_batch_size * processes
    steps = max_steps
    if steps <= 0:
        steps = steps_of(len(examples) - held_out, batch * gradient_accumulation_steps, num_train_epochs)
    return trainer(
        examples=examples,
        nb_iterations=steps,
        train_batch_size=batch,
        gradient_accumulation_steps=gradient_accumulation_steps,
        warmup_steps=warmup_steps if warmup_steps > 0 else math.ceil(steps * warmup_ratio),
        **parts,
    )


def steps_of(n_examples: int, per_step: int, epochs: float) -> int:
    """Optimizer steps of ``per_step`` examples that see ``n_examples`` examples ``epochs`` times, rounded up."""
    if n_examples < 1:
        raise InputError(
            f"no training examples are left ({n_examples}) after data.VALIDATION_SIZE_FOR_LOSS are held out: "
            "hold out fewer"
        )
    return max(1, math.ceil(round(n_examples * epochs / per_step, 9)))
