"""A penalty's weight λ that finds itself: it grows while vectors have more non-zeros than wanted."""

import math

from torch import Tensor

from splade.regularization.adaptive import Adaptive
from splade.regularization.ramps import Ramp

DEFAULT_STEPS = 100
LARGEST_ERROR = 1.0  # in natural logarithm: further away, λ moves no faster
FEWEST = 0.5  # non-zeros that an average of none counts as


class TargetController(Adaptive):
    """``λ(t) = ramp(t) · exp(i + e)``, where e is ``log(L0 / target)`` as it will be in ``steps`` steps.

    L0 is the mean number of non-zeros of a side's vectors in a global batch, averaged over the last ones
    (``steps / 5``) and carried forward by its present slope, so that λ waits while vectors get sparser on their own.
    ``i``, the sum of ``e / steps`` over optimizer steps since the ramp is at its full weight, makes λ forget where it
    started.
    """

    learnt = ("_integral", "_average", "_slope")

    def __init__(self, ramp: Ramp, target: float, steps: int = DEFAULT_STEPS) -> None:
        super().__init__()
        if not (math.isfinite(target) and target > 0):
            raise ValueError(f"target must be a finite number of non-zeros above 0, got {target}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        self.ramp, self.target, self.steps = ramp, float(target), steps
        self._integral, self._slope = 0.0, 0.0
        self._average: float | None = None  # of log L0

    def __call__(self, step: int) -> float:
        """The weight at ``step``, as far as has been learnt."""
        return self.ramp(step) * math.exp(self._integral + self._error())

    def summary(self, vectors: Tensor) -> Tensor:
        """Mean number of non-zeros of vectors [N, V]."""
        return (vectors != 0).sum(dim=1).double().mean().cpu()

    def learn(self, seen: Tensor, step: int) -> None:
        """Move λ by the non-zeros that were seen in ``step``."""
        if self.ramp(step + 1) > self.ramp(step):
            return
        now, share = math.log(max(float(seen), FEWEST)), min(5.0 / self.steps, 1.0)
        before = now if self._average is None else self._average
        self._average = before + share * (now - before)
        self._slope += share * (self._average - before - self._slope)
        self._integral += self._error() / self.steps

    def _error(self) -> float:
        if self._average is None:
            return 0.0
        error = self._average + self.steps * self._slope - math.log(self.target)
        return max(-LARGEST_ERROR, min(error, LARGEST_ERROR))
