"""Training: the loop, the global-batch step, validation, exact resume."""

from splade.training.checkpoint import seed_everything
from splade.training.interrupts import Interrupted
from splade.training.trainer import Trainer, TrainingSummary
from splade.training.validation.full_ranking import FullRanking
from splade.training.validation.several_rankings import SeveralRankings, beir_rankings

__all__ = [
    "FullRanking",
    "Interrupted",
    "SeveralRankings",
    "Trainer",
    "TrainingSummary",
    "beir_rankings",
    "seed_everything",
]
