"""A penalty: a measure of one side's vectors and the weight it has at a step. It never sees a score."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splade.regularization.ramps import Ramp

Measure = Callable[[Tensor], Tensor]
"""A float32 scalar from vectors [N, V]."""


class Penalty(NamedTuple):
    """``weight(step) * measure(vectors)`` is added to the loss, for the vectors of ``side``."""

    name: str
    side: str  # "query" or "document"
    measure: Measure
    ramp: Ramp

    def weight(self, step: int) -> float:
        """λ at optimizer step ``step`` (from 0)."""
        return self.ramp(step)


def penalty_sum(
    penalties: Sequence[Penalty], step: int, vectors: Mapping[str, Sequence[Tensor]]
) -> tuple[Tensor, dict[str, float]]:
    """``Σ λ(step) · mean over slots of R(slot)``, each penalty once; and each R under ``name_side``, for the log.

    ``vectors`` holds per side one [N, V] tensor per slot: the queries; the positives, then each rank of
    negatives. One tensor of all documents gives the pooled form. A penalty of weight 0 is measured without a graph.
    """
    some = next(slot for slots in vectors.values() for slot in slots)
    total = torch.zeros((), device=some.device)
    measured = {}
    for penalty in penalties:
        weight = penalty.weight(step)
        with torch.set_grad_enabled(torch.is_grad_enabled() and weight > 0):
            value = torch.stack([penalty.measure(slot) for slot in vectors[penalty.side]]).mean()
        if weight > 0:
            total = total + weight * value
        measured[f"{penalty.name}_{penalty.side}"] = float(value.detach())
    return total, measured
