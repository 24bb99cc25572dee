"""Losses that tell the positive from negatives by the student's scores alone.

``s+`` is the positive's score, ``s-`` a negative's.
"""

import torch
from torch import Tensor
from torch.nn import functional

from splade.losses.scores import Loss, Scores, positive_columns


class PairwiseNLL(Loss):
    """``-log softmax([s+, s-...])_0`` over the query's own documents, mean over queries."""

    def value(self, scores: Scores) -> Tensor:
        """The loss of the group, in float32."""
        return functional.cross_entropy(scores.group, _zeros(scores.group))


class InBatchPairwiseNLL(Loss):
    """``-log softmax([q_i·D+, s-_i...])_i``: own negatives and all queries' positives, mean over queries.

    Without explicit negatives (n = 1) it is the plain in-batch cross-entropy. SPLADE v2, arXiv 2109.10086.
    ``Scores.answers`` are no negatives; the published arithmetic has none.
    """

    needs_in_batch = True
    min_documents = 1

    def value(self, scores: Scores) -> Tensor:
        """The loss of own negatives beside everyone's positives, in float32."""
        spared = scores.spared()  # [B, B, n]
        own = torch.arange(len(spared), device=spared.device)
        logits = torch.cat([positive_columns(scores), scores.group[:, 1:]], dim=1)  # [B, B + n - 1]
        excluded = torch.cat([spared[:, :, 0], spared[own, own, 1:]], dim=1)
        return functional.cross_entropy(logits.masked_fill(excluded, -torch.inf), own)


class Contrastive(Loss):
    """Cross-entropy of ``s+`` against every query's negatives; with ``in_batch``, others' positives too.

    Takes ``Scores.in_batch`` of width B * n. ``Scores.answers`` are no negatives; the published arithmetic has none.
    """

    needs_in_batch = True
    in_batch_documents = "all"
    min_documents = 1  # with in_batch; without, 2

    def __init__(self, in_batch: bool = False) -> None:
        self.in_batch = in_batch
        self.min_documents = 1 if in_batch else 2

    def value(self, scores: Scores) -> Tensor:
        """The loss over all documents of the batch, in float32."""
        n_queries, n_documents = scores.group.shape
        everything = scores.all_documents(type(self).__name__)
        own = torch.arange(n_queries, device=everything.device)
        excluded = scores.spared()  # [B, B, n]
        if not self.in_batch:
            excluded[:, :, 0] = True
            excluded[own, own, 0] = False
        return functional.cross_entropy(everything.masked_fill(excluded.flatten(1), -torch.inf), own * n_documents)


class BCE(Loss):
    """Logistic loss of every score by itself: label 1 for the positive, 0 for negatives; mean over scores."""

    min_documents = 1

    def value(self, scores: Scores) -> Tensor:
        """The loss of the group, in float32."""
        labels = torch.zeros_like(scores.group)
        labels[:, 0] = 1.0
        return functional.binary_cross_entropy_with_logits(scores.group, labels)


class PairwiseBPR(Loss):
    """``-log sigmoid(s+ - s-)``, mean over queries and their negatives. BPR, arXiv 1205.2618."""

    def value(self, scores: Scores) -> Tensor:
        """The loss of the group, in float32."""
        return functional.softplus(scores.group[:, 1:] - scores.group[:, :1]).mean()


def _zeros(group: Tensor) -> Tensor:
    return torch.zeros(len(group), dtype=torch.long, device=group.device)
