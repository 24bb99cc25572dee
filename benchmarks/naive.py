"""SPLADE from its arithmetic and nothing else: all logits [B, L, V], log(1 + relu), mask, max. What others do."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


def vectors(mlm: Any, tokenizer: Any, texts: Sequence[str], max_length: int) -> Tensor:
    """Vectors [B, V] of texts padded to the longest."""
    batch = tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_token_type_ids=False,
    )
    logits = mlm(**batch).logits  # [B, L, V]
    weights = torch.log1p(torch.relu(logits)) * batch["attention_mask"].unsqueeze(-1)
    return weights.max(dim=1).values


@torch.no_grad()
def encode(
    mlm: Any, tokenizer: Any, texts: Sequence[str], max_length: int, batch_size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows, columns and weights of the non-zeros, a batch at a time in the order of the texts."""
    for start in range(0, len(texts), batch_size):
        dense = vectors(mlm, tokenizer, texts[start : start + batch_size], max_length)
        rows, columns = dense.nonzero(as_tuple=True)
        yield rows, columns, dense[rows, columns]


def step_loss(
    mlm: Any, tokenizer: Any, columns: Sequence[Sequence[str]], max_length: int, flops_weight: float
) -> Tensor:
    """Cross entropy of each query's positive among all positives and its own negative, plus FLOPS penalties.

    ``columns`` are B queries, B positives, B negatives; each is encoded by itself.
    """
    queries, positives, negatives = (vectors(mlm, tokenizer, column, max_length) for column in columns)
    scores = torch.cat([queries @ positives.t(), (queries * negatives).sum(dim=1, keepdim=True)], dim=1)  # [B, B + 1]
    loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(queries)))
    flops = [(part.mean(dim=0) ** 2).sum() for part in (queries, positives, negatives)]
    return loss + flops_weight * (flops[0] + (flops[1] + flops[2]) / 2)
