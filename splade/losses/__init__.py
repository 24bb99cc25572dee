"""Losses: a scalar from the scores of a batch. They know no model, no data set and no config."""

from splade.losses.contrastive import BCE, Contrastive, InBatchPairwiseNLL, PairwiseBPR, PairwiseNLL
from splade.losses.distillation import DistilMarginMSE, KlDiv, MarginMSEAllPairs
from splade.losses.masked_tokens import MaskedLanguageModel
from splade.losses.mixes import (
    WeightedSum,
    kldiv_contrastive_with_weights,
    kldiv_contrastive_without_weights,
    kldiv_mse_margin_with_weights,
    kldiv_mse_margin_without_weights,
    weighted_sum,
)
from splade.losses.ranking import ApproxNDCG, ListNet, RankNet
from splade.losses.score_aware import ScoreAwareInBatchNLL
from splade.losses.scores import Loss, Needs, Scores, says

__all__ = [
    "BCE",
    "ApproxNDCG",
    "Contrastive",
    "DistilMarginMSE",
    "InBatchPairwiseNLL",
    "KlDiv",
    "ListNet",
    "Loss",
    "MarginMSEAllPairs",
    "MaskedLanguageModel",
    "Needs",
    "PairwiseBPR",
    "PairwiseNLL",
    "RankNet",
    "ScoreAwareInBatchNLL",
    "Scores",
    "WeightedSum",
    "kldiv_contrastive_with_weights",
    "kldiv_contrastive_without_weights",
    "kldiv_mse_margin_with_weights",
    "kldiv_mse_margin_without_weights",
    "says",
    "weighted_sum",
]
