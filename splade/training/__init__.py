"""Training: the loop, the global-batch step, validation, exact resume."""

from splade.training.checkpoint import seed_everything
from splade.training.full_ranking import FullRanking
from splade.training.interrupts import Interrupted
from splade.training.several_rankings import SeveralRankings, beir_rankings
from splade.training.trainer import Trainer, TrainingSummary

__all__ = [
    "FullRanking",
    "Interrupted",
    "SeveralRankings",
    "Trainer",
    "TrainingSummary",
    "beir_rankings",
    "seed_everything",
]
