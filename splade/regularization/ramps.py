"""Growth of a penalty's weight λ as a function of the optimizer step, so that resuming has nothing to restore."""

import math
from typing import Protocol


class Ramp(Protocol):
    """The weight at an optimizer step (from 0)."""

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""


class QuadraticRamp:
    """Weight at step t: ``target * min(t / steps, 1)²``."""

    def __init__(self, target: float, steps: int) -> None:
        self.target, self.steps = _target(target), _steps(steps)

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.target * min(step / self.steps, 1.0) ** 2


class LinearRamp:
    """Weight at step t: ``target * min(t / steps, 1)``."""

    def __init__(self, target: float, steps: int) -> None:
        self.target, self.steps = _target(target), _steps(steps)

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.target * min(step / self.steps, 1.0)


class ConstantRamp:
    """``target`` at every step; ``steps`` is accepted, so that ramps can stand for each other, and not used."""

    def __init__(self, target: float, steps: int | None = None) -> None:  # noqa: ARG002 - one form for all ramps
        self.target = _target(target)

    def __call__(self, step: int) -> float:  # noqa: ARG002 - one form for all ramps
        """The weight, whatever the step."""
        return self.target


def _target(target: float) -> float:
    if not (math.isfinite(target) and target >= 0):
        raise ValueError(f"target must be a finite number of at least 0, got {target}")
    return float(target)


def _steps(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    return steps
