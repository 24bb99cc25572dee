"""A penalty: a measure of one side's vectors and the weight it has at a step. It never sees a score."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from splade.regularization.ramps import Ramp


class Measure(Protocol):
    """The sparsity of vectors, small where they are sparse.

    Its class may have arguments, which stand beside λ in the config, and an attribute ``monitor = True`` where it only
    counts and has no gradient. One with a method ``for_vocabulary(vocab, vocab_size)`` is told the number of each token
    before training. `splade.conformance.check_penalty` holds a class to it.
    """

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """The penalty of ``vectors`` [N, V] of one side, a float32 scalar ≥ 0; it changes nothing in place."""


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
