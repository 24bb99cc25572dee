"""Losses that bring the student's documents into the teacher's order; ``s`` student scores, ``t`` a teacher's."""

import torch
from torch import Tensor
from torch.nn import functional

from splade.losses.scores import Loss, Scores, above_zero, teacher_of


class RankNet(Loss):
    """``log(1 + exp(-(s_a - s_b) / τ))`` over the pairs with ``t_a > t_b``. Burges et al., ICML 2005.

    Mean over a query's pairs, then over queries. Pairs that the teacher ties say nothing; a query of ties counts as 0.
    """

    needs_teacher = True

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = above_zero("temperature", temperature)

    def value(self, scores: Scores) -> Tensor:
        """The loss of the pairs that the teacher orders, in float32."""
        ordered = _differences(teacher_of(scores)) > 0  # [B, n, n]
        costs = functional.softplus(-_differences(scores.group) / self.temperature) * ordered
        return (costs.sum(dim=(1, 2)) / ordered.sum(dim=(1, 2)).clamp(min=1)).mean()


class ListNet(Loss):
    """``-Σ_a softmax(t / τ)_a · log softmax(s / τ)_a``: top-one cross-entropy, mean over queries.

    ``KlDiv`` plus the teacher's entropy, so with the gradient of that. Cao et al., ICML 2007.
    """

    needs_teacher = True

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = above_zero("temperature", temperature)

    def value(self, scores: Scores) -> Tensor:
        """The cross-entropy of the listed documents, in float32 and in nats."""
        teacher = functional.softmax(teacher_of(scores) / self.temperature, dim=1)
        return functional.cross_entropy(scores.group / self.temperature, teacher)


class ApproxNDCG(Loss):
    """``1 - nDCG`` with smooth ranks, mean over queries. Qin, Liu and Li, Information Retrieval 2010.

    The rank of a is ``1 + Σ_{b≠a} sigmoid((s_b - s_a) / τ)``. Its gain is ``2^g - 1`` where the grade g is the
    teacher's score brought to 0 (the query's worst listed document) … ``top_grade`` (its best). A query whose
    teacher scores are all the same counts as 0.
    """

    needs_teacher = True

    def __init__(self, temperature: float = 1.0, top_grade: float = 4.0) -> None:
        self.temperature = above_zero("temperature", temperature)
        self.top_grade = above_zero("top_grade", top_grade)

    def value(self, scores: Scores) -> Tensor:
        """The loss of the listed documents, a float32 between 0 and 1."""
        gains = self._gains(teacher_of(scores))  # [B, n]
        beaten_by = torch.sigmoid(-_differences(scores.group) / self.temperature)  # [B, n, n]; 1/2 by itself
        ranks = 0.5 + beaten_by.sum(dim=2)
        best = torch.arange(1, gains.shape[1] + 1, device=gains.device)
        ideal = (gains.sort(dim=1, descending=True).values / torch.log2(1.0 + best)).sum(dim=1)
        reached = (gains / torch.log2(1.0 + ranks)).sum(dim=1)
        return torch.where(ideal > 0, 1.0 - reached / ideal.clamp(min=1e-9), 0.0 * reached).mean()

    def _gains(self, teacher: Tensor) -> Tensor:
        least, most = teacher.aminmax(dim=1, keepdim=True)
        grades = self.top_grade * (teacher - least) / (most - least).clamp(min=1e-9)
        return torch.exp2(grades) - 1.0


def _differences(values: Tensor) -> Tensor:
    """``[B, n, n]``: value a minus value b."""
    return values[:, :, None] - values[:, None, :]
