"""Parts of a penalty that learn from the vectors of the training, and are saved with it."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class Adaptive(ABC):
    """A part of a penalty that learns from the vectors of global batches, so the same on any number of processes.

    A step calls ``forget``, ``observe`` for each global batch, and ``settle`` once the weights have been updated: only
    that changes anything, so that a step which is cut short, or skipped for its infinite gradients, leaves no trace.
    What is learnt is in attributes that begin with an underscore, those of ``learnt``; the others are settings.
    """

    learnt: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def forget(self) -> None:
        """Drop what was observed since the last ``settle``."""
        self._seen = []

    def observe(self, vectors: Tensor) -> None:
        """See the vectors [N, V] of one side in a global batch."""
        self._seen.append(self.summary(vectors.detach()))

    def settle(self, step: int) -> None:
        """Learn from what was observed in optimizer step ``step`` (from 0)."""
        if self._seen:
            self.learn(torch.stack(self._seen).mean(dim=0), step)
        self._seen = []

    def state(self) -> dict[str, Any]:
        """Return what was learnt, as tensors and plain values."""
        return {name: getattr(self, name) for name in self.learnt}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what ``state`` returned."""
        for name in self.learnt:
            setattr(self, name, state[name])

    @abstractmethod
    def summary(self, vectors: Tensor) -> Tensor:
        """Summarize vectors [N, V] as float64 on the CPU; the summaries of a step's batches are averaged."""

    @abstractmethod
    def learn(self, seen: Tensor, step: int) -> None:
        """Change with the averaged summary of a step."""
