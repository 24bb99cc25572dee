"""Rerankers: cross-encoders, RankT5, monoT5, duoT5 and pairwise prompts behind one interface."""

from splade.models.rerankers.base import Pairwise, Pointwise, Reranker
from splade.models.rerankers.kinds import CrossEncoder, DuoT5, MonoT5, PairwisePrompt, RankT5
from splade.models.rerankers.loading import KINDS, load_reranker

__all__ = [
    "KINDS",
    "CrossEncoder",
    "DuoT5",
    "MonoT5",
    "Pairwise",
    "PairwisePrompt",
    "Pointwise",
    "RankT5",
    "Reranker",
    "load_reranker",
]
