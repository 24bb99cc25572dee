"""Sparsity measured on the vectors ``w`` [N, V] of one side: penalties to train with, monitors to watch.

Everything is computed in float32, over all V terms. A monitor counts and so has no gradient.
"""

from torch import Tensor


class FLOPS:
    """``Σ_j (mean_i |w_ij|)²``: a smooth stand-in for the expected cost of scoring. arXiv 2004.05665."""

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        return vectors.float().abs().mean(dim=0).square().sum()


class L1:
    """``mean_i Σ_j |w_ij|``."""

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        return vectors.float().abs().sum(dim=1).mean()


class AntiCollapse:
    """``mean_i 1 / (floor + Σ_j w_ij)²``: large when any one vector runs empty, per row and not per batch.

    For weights ≥ 0. ``floor`` keeps the value (at most ``1 / floor²``) and the gradient of an empty vector finite.
    """

    def __init__(self, floor: float = 0.1) -> None:
        if not floor > 0:
            raise ValueError(f"floor must be above 0, got {floor}")
        self.floor = floor

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        return (self.floor + vectors.float().sum(dim=1)).square().reciprocal().mean()


class L0:
    """Mean number of non-zero weights per vector; a monitor."""

    monitor = True

    def __call__(self, vectors: Tensor) -> Tensor:
        """The count of ``vectors`` [N, V], a float32 scalar."""
        return (vectors.detach() != 0).sum(dim=1).float().mean()


class SparsityRatio:
    """``1 - non-zeros / V``, mean over vectors; a monitor."""

    monitor = True

    def __call__(self, vectors: Tensor) -> Tensor:
        """The ratio of ``vectors`` [N, V], a float32 scalar between 0 (dense) and 1 (empty)."""
        return 1.0 - (vectors.detach() != 0).float().mean()
