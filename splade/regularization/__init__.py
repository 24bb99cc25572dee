"""Regularization: how sparse vectors are, what that costs the loss, and how the cost grows. No scores here."""

from splade.regularization.adaptive import Adaptive
from splade.regularization.controller import TargetController
from splade.regularization.measures import FLOPS, L0, L1, AntiCollapse, SparsityRatio
from splade.regularization.penalties import Measure, Penalty, penalty_sum
from splade.regularization.ramps import ConstantRamp, LinearRamp, QuadraticRamp, Ramp
from splade.regularization.settings import penalties_from
from splade.regularization.weighted import DocumentFrequencyFLOPS, IdfFLOPS, MaskedFLOPS

__all__ = [
    "FLOPS",
    "L0",
    "L1",
    "Adaptive",
    "AntiCollapse",
    "ConstantRamp",
    "DocumentFrequencyFLOPS",
    "IdfFLOPS",
    "LinearRamp",
    "MaskedFLOPS",
    "Measure",
    "Penalty",
    "QuadraticRamp",
    "Ramp",
    "SparsityRatio",
    "TargetController",
    "penalties_from",
    "penalty_sum",
]
