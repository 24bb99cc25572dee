"""Supervision that a model makes itself: negatives from its own index, and a teacher's scores of them."""

from splade.mining.choosing import Chooser, Ranks, false_negatives, positives_of
from splade.mining.negatives import mine
from splade.mining.scoring import Texts, score
from splade.mining.teachers import RerankerTeacher, RetrieverTeacher

__all__ = [
    "Chooser",
    "Ranks",
    "RerankerTeacher",
    "RetrieverTeacher",
    "Texts",
    "false_negatives",
    "mine",
    "positives_of",
    "score",
]
