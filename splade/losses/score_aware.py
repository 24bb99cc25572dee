"""In-batch cross-entropy that leaves out documents which may be relevant themselves."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from splade.losses.scores import Loss, Scores, teacher_of


class ScoreAwareInBatchNLL(Loss):
    """Cross-entropy of ``s+`` against all documents of the batch but those that may be false negatives.

    A teacher scores a query's own listed documents only. Of these, negatives count where
    ``t+ - t ≥ min_difference``, in units of the teacher's scores. A document of another query is taken for a negative,
    unless the same text is listed by the query itself: then the own listing says what it is, and it counts once.
    ``Scores.answers`` are left out whoever lists them.
    """

    needs_teacher = True
    needs_in_batch = True
    needs_document_keys = True
    in_batch_documents = "all"
    min_documents = 1

    def __init__(self, min_difference: float = 3.0) -> None:
        if not math.isfinite(min_difference):
            raise ValueError(f"min_difference must be a finite number, got {min_difference}")
        self.min_difference = min_difference

    def value(self, scores: Scores) -> Tensor:
        """The loss over the documents that are left, in float32; the positive always is."""
        everything = scores.all_documents(type(self).__name__)
        n_queries, n_documents = scores.group.shape
        blocks = self._listed_elsewhere(scores)  # [B, B, n]
        own = torch.arange(n_queries, device=blocks.device)
        blocks[own, own] = self._too_close(teacher_of(scores))
        blocks |= scores.spared()
        return functional.cross_entropy(everything.masked_fill(blocks.flatten(1), -torch.inf), own * n_documents)

    def _too_close(self, teacher: Tensor) -> Tensor:
        """``[B, n]``: own negatives that the teacher scores too close to the positive, or above it."""
        close = teacher[:, :1] - teacher < self.min_difference
        close[:, 0] = False
        return close

    def _listed_elsewhere(self, scores: Scores) -> Tensor:
        """``[B, B, n]``: whether document d of query j is among those that query i lists."""
        keys = scores.document_keys
        if keys is None:
            raise ValueError(f"{type(self).__name__}: document_keys is missing")
        return torch.stack([torch.isin(keys, own) for own in keys])
