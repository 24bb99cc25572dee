"""Regularization: how sparse vectors are, what that costs the loss, and how the cost grows. No scores here."""

from splade.regularization.measures import FLOPS, L0, L1, AntiCollapse, SparsityRatio
from splade.regularization.penalties import Measure, Penalty, penalty_sum
from splade.regularization.ramps import ConstantRamp, LinearRamp, QuadraticRamp, Ramp
from splade.regularization.settings import penalties_from

__all__ = [
    "FLOPS",
    "L0",
    "L1",
    "AntiCollapse",
    "ConstantRamp",
    "LinearRamp",
    "Measure",
    "Penalty",
    "QuadraticRamp",
    "Ramp",
    "SparsityRatio",
    "penalties_from",
    "penalty_sum",
]
