"""An exponential moving average of the weights, kept beside those that are trained (``config.ema_decay``)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from splade.training.distributed.sharding import spread, whole

WARM_UP = 10


class WeightAverage:
    """After optimizer step t (from 0): ``average ← d · average + (1 - d) · weights``.

    ``d = min(decay, (1 + t) / (10 + t))``, so that an average of few steps holds little of the first weights. Weights
    that are not trained are left out. Where weights are spread over processes, so are their averages.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.averages = {name: weight.detach().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step ``step``."""
        kept = min(self.decay, (1 + step) / (WARM_UP + step))
        for name, average in self.averages.items():
            average.mul_(kept).add_(self.weights[name].detach(), alpha=1.0 - kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the model use the averages inside the block."""
        trained = {name: weight.detach().clone() for name, weight in self.weights.items()}
        try:
            self._put(self.averages)
            yield
        finally:
            self._put(trained)

    def state(self) -> dict[str, Any]:
        """The averages, whole; called by all ranks."""
        averages: dict[str, Any] = whole(self.averages)
        return averages

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what ``state`` returned; called by all ranks."""
        for name, average in spread(state, self.averages).items():
            self.averages[name].copy_(average)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self.weights[name].copy_(value)
