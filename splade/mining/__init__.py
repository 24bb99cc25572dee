"""Supervision that a model makes itself: negatives from its own index, and a teacher's scores of them."""

from splade.mining.choosing import Chooser, Ranks, false_negatives, positives_of
from splade.mining.negatives import mine

__all__ = ["Chooser", "Ranks", "false_negatives", "mine", "positives_of"]
