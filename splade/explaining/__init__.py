"""Reasons of weights and scores: the words of a text's vector, the tokens behind them, and what adds up to a score.

`Explainer` makes the records of :mod:`splade.explaining.records` with a model's encoders. The room starts without
torch, so that whatever gives vectors and tells where they come from can be explained.
"""

from splade.explaining.explainer import Explainer
from splade.explaining.records import Bag, Match, MatchTerm, Part, Position, Term, Token, Word
from splade.explaining.side_by_side import SideBySide, compare
from splade.explaining.sides import SideEncoder

__all__ = [
    "Bag",
    "Explainer",
    "Match",
    "MatchTerm",
    "Part",
    "Position",
    "SideBySide",
    "SideEncoder",
    "Term",
    "Token",
    "Word",
    "compare",
]
