"""Whole-number impacts, for libraries that count terms instead of weighing them."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.libraries.batches import Parts
from splade.files import InputError
from splade.kernels.sparse import keep_entries
from splade.records import SparseBatch, SparseRows

DOCUMENT, QUERY = "quantization_factor_document", "quantization_factor_query"


class Rounding:
    """Document weights as impacts, ``rint(weight * factor)``, and an account of what that loses.

    Half-way cases go to the even number. Postings that become 0 are left out.
    """

    def __init__(self, factor: float) -> None:
        self.factor, self.n_postings, self.n_dropped, self._errors = factor, 0, 0, 0.0

    def impacts(self, rows: SparseRows) -> SparseRows:
        """The impacts of ``rows`` as float32 weights that are whole numbers above 0."""
        rounded = rint(rows.weights, self.factor)
        self.n_postings += len(rounded)
        self.n_dropped += int((rounded == 0).sum())
        self._errors += float(np.abs(rounded / self.factor / rows.weights - 1).sum())
        return keep_entries(rows._replace(weights=rounded.astype(np.float32)), rounded > 0)

    def facts(self) -> dict[str, Any]:
        """The factor, the mean relative error of a weight, and the number of postings that were left out."""
        error = self._errors / max(self.n_postings, 1)
        return {"factor": self.factor, "weight_error": error, "n_dropped": self.n_dropped, "n_rounded": self.n_postings}


class Limits(NamedTuple):
    """The impacts that an engine takes, and the factor of one for which none is set."""

    engine: str
    most: int  # the largest impact
    given: float | None  # the factor of the config

    def refuse(self, batch: SparseBatch) -> None:
        """InputError where a weight times the factor of the config is more than the engine takes."""
        if self.given is not None and len(batch.rows.weights):
            self._check(float(batch.rows.weights.max()), self.given)

    def factor(self, parts: Parts, otherwise: float | None = None) -> float:
        """The factor of the config, or else 1 for whole numbers, or else ``otherwise``.

        Without that, the factor that makes the heaviest weight the largest impact.
        """
        if self.given is not None:
            return self.given
        if parts.whole and parts.largest <= self.most:
            return 1.0
        chosen = self.most / max(parts.largest, 1e-30) if otherwise is None else otherwise
        self._check(parts.largest, chosen)
        return chosen

    def _check(self, largest: float, factor: float) -> None:
        if np.rint(largest * factor) > self.most:
            raise InputError(
                f"engine.{DOCUMENT}={factor:g}: the weight {largest:g} becomes {largest * factor:.0f}, and "
                f"engine={self.engine} takes impacts up to {self.most}. Set at most {self.most / largest:.4g}"
            )


def rint(weights: NDArray[Any], factor: float) -> NDArray[np.float64]:
    """The whole numbers nearest to ``weights * factor``."""
    rounded: NDArray[np.float64] = np.rint(weights.astype(np.float64) * factor)
    return rounded


def factor_setting(name: str, factor: object) -> float | None:
    """A factor of the config, None where none is set; ValueError for anything but a number above 0."""
    if factor is None:
        return None
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"engine.{name}={factor!r}: expected a number above 0")
    return float(factor)


def whole_setting(name: str, value: object, least: int = 1) -> int:
    """A whole number of the config; ValueError for anything else, or less than ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"engine.{name}={value!r}: expected a whole number of at least {least}")
    return value


def said(facts: dict[str, Any]) -> str:
    """The loss of document weights in words and numbers."""
    times = f"document weights times {facts['factor']:.6g}"
    if facts["weight_error"] == 0:
        return f"{times} are whole numbers: nothing is lost"
    return (
        f"{times}, rounded to whole numbers: a weight is off by {100 * facts['weight_error']:.2g} % on average, and "
        f"{facts['n_dropped']} of {facts['n_rounded']} postings became 0"
    )
