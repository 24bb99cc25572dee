"""FLOPS in which not every row, or not every term, weighs the same. Computed in float32, over all V terms."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from splade.files import InputError, read_json
from splade.regularization.adaptive import Adaptive


class MaskedFLOPS:
    """FLOPS of the rows with more than ``threshold`` non-zeros; others cost nothing. arXiv 2504.14839.

    ``Σ_j (1/N Σ_i m_i |w_ij|)²`` with m 1 or 0, over all N rows.
    """

    def __init__(self, threshold: int) -> None:
        if threshold < 0:
            raise ValueError(f"threshold must be at least 0, got {threshold}")
        self.threshold = threshold

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        counted = (vectors != 0).sum(dim=1, keepdim=True) > self.threshold  # [N, 1]
        return (vectors.float().abs() * counted).mean(dim=0).square().sum()


class IdfFLOPS:
    """``Σ_j (mean_i |w_ij| / idf_j)²``: rare terms cost less than common ones. arXiv 2411.04403.

    ``idf`` is a JSON file ``{token: idf}``. Values below ``floor``, and tokens that are not in it, count as ``floor``
    and as the largest value. ``for_vocabulary`` is called before training.
    """

    def __init__(self, idf: str, floor: float = 0.1) -> None:
        if not floor > 0:
            raise ValueError(f"floor must be above 0, got {floor}")
        self.idf, self.floor = str(idf), floor
        self._by_token = _read_idf(Path(idf))
        self._factors: Tensor | None = None

    def for_vocabulary(self, vocabulary: Mapping[str, int], width: int) -> None:
        """Take the terms' numbers from ``vocabulary``; InputError where the file has none of its tokens."""
        numbers = ((vocabulary.get(token, width), idf) for token, idf in self._by_token.items())
        known = {number: idf for number, idf in numbers if number < width}
        if not known:
            raise InputError(f"{self.idf}: none of its {len(self._by_token)} tokens is in the model's vocabulary")
        idf = torch.full((width,), max(known.values()), dtype=torch.float32)
        idf[list(known)] = torch.tensor(list(known.values()), dtype=torch.float32)
        self._factors = idf.clamp(min=self.floor).reciprocal()

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        if self._factors is None:
            raise ValueError("IdfFLOPS: for_vocabulary comes first")
        return (vectors.float().abs().mean(dim=0) * self._factors.to(vectors.device)).square().sum()


class DocumentFrequencyFLOPS(Adaptive):
    """``Σ_j (w_j · mean_i |v_ij|)²``: terms that stand in many vectors cost most. arXiv 2505.15070.

    ``w = 1 / (1 + (x^(log_α 2) - 1)^β)`` for a term in a share x of the vectors: 1/2 at x = ``alpha``, the steeper the
    larger ``beta``. Shares are those of all vectors of the last ``every`` optimizer steps; until the first are known,
    every term weighs 1.
    """

    learnt = ("_shares", "_steps", "_weights")

    def __init__(self, every: int = 100, alpha: float = 0.1, beta: float = 10.0) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
        if not (beta > 0 and math.isfinite(beta)):
            raise ValueError(f"beta must be a finite number above 0, got {beta}")
        self.every, self.alpha, self.beta = every, alpha, beta
        self._shares: Tensor | None = None  # [V], summed over steps
        self._steps = 0  # that were summed
        self._weights: Tensor | None = None  # [V]

    def __call__(self, vectors: Tensor) -> Tensor:
        """The penalty of ``vectors`` [N, V], a float32 scalar."""
        means = vectors.float().abs().mean(dim=0)
        if self._weights is not None:
            means = means * self._weights.to(means)
        return means.square().sum()

    def summary(self, vectors: Tensor) -> Tensor:
        """Each term's share of the vectors [N, V]."""
        return (vectors != 0).double().mean(dim=0).cpu()

    def learn(self, seen: Tensor, step: int) -> None:  # noqa: ARG002 - one form for all that adapts
        """Add a step's shares; after ``every`` steps, new weights."""
        self._shares = seen if self._shares is None else self._shares + seen
        self._steps += 1
        if self._steps == self.every:
            self._weights = logistic_weights(self._shares / self._steps, self.alpha, self.beta).float()
            self._shares, self._steps = None, 0


def logistic_weights(shares: Tensor, alpha: float, beta: float) -> Tensor:
    """``1 / (1 + (x^(log_α 2) - 1)^β)`` of shares x in 0 … 1: 0 for x = 0, 1/2 for x = α, 1 for x = 1."""
    powers = shares.clamp(min=1e-12) ** (math.log(2) / math.log(alpha))
    return torch.where(shares > 0, 1.0 / (1.0 + (powers - 1.0).clamp(min=0.0) ** beta), torch.zeros_like(shares))


def _read_idf(path: Path) -> dict[str, float]:
    read = read_json(path)
    if not isinstance(read, dict) or not read:
        raise InputError(f"{path}: expected {{token: idf}}, got a {type(read).__name__}")
    for token, idf in read.items():
        if isinstance(idf, bool) or not isinstance(idf, int | float) or not math.isfinite(idf):
            raise InputError(f"{path}: the idf of {token!r} must be a finite number, got {idf!r}")
    return {token: float(idf) for token, idf in read.items()}
