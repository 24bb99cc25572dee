"""Tests of the differences between two systems on the same queries, and what many tests at once do to their p-values.

Every function takes differences, one per query; a query that both systems answer equally well has 0.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

BLOCK = 1 << 21  # signs, or sums, that are held at a time: 16 MiB as float64
TOLERANCE = 1e-10  # of the sum of all differences: sums as far from zero as the observed one count as equal to it


def t_test(differences: ArrayLike) -> float:
    """The two-sided p-value of the paired t-test, whose null hypothesis is a mean difference of 0.

    1 where all differences are 0, and for fewer than two queries, whose variance is unknown. 0 where all are the
    same number, other than 0.
    """
    found = np.asarray(differences, np.float64)
    if found.size < 2 or not found.any():
        return 1.0
    error = _standard_error(found)
    if error == 0:
        return 0.0
    return float(2 * special.stdtr(found.size - 1, -abs(found.mean()) / error))


def randomisation_test(differences: ArrayLike, n_samples: int = 100_000, seed: int = 0) -> NDArray[np.float64]:
    """The two-sided p-value of the paired randomisation test, for each column of ``differences`` [queries, tests].

    Under the null hypothesis each difference could as well have the other sign. The p-value is the share of all
    assignments of signs whose sum is at least as far from 0 as the observed one. Columns with few differences other
    than 0 (``2**m <= n_samples``) are enumerated: their p-value is exact. For others ``n_samples`` assignments are
    drawn by ``seed``, and with b of them as extreme the p-value is (b + 1) / (n_samples + 1), which is never 0
    (Phipson and Smyth, 2010). Returns float64 [tests]; a column of zeros has 1.

    The p-value of a column depends on the order of the queries, not on the other columns.
    """
    columns = np.asarray(differences, np.float64)
    if columns.ndim != 2:
        raise ValueError(f"differences must have two dimensions, queries and tests, got {columns.ndim}")
    if n_samples < 1:
        raise ValueError(f"n_samples must be at least 1, got {n_samples}")
    found = np.ones(columns.shape[1])
    exact = np.array([is_exact(column, n_samples) for column in columns.T], bool)
    for number in np.flatnonzero(exact):
        found[number] = _enumerated(columns[:, number])
    drawn = np.flatnonzero(~exact)
    if drawn.size:
        found[drawn] = _drawn(columns[:, drawn], n_samples, seed)
    return found


def is_exact(differences: ArrayLike, n_samples: int) -> bool:
    """True where the randomisation test enumerates all signs: there are no more assignments than ``n_samples``."""
    return int(np.count_nonzero(differences)) <= math.log2(n_samples)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number by Holm's step-down procedure (1979), in the order given.

    The k-th smallest of m is multiplied by m - k + 1; none is smaller than one before it, nor above 1. Rejecting
    those below α keeps the chance of a single false rejection in the whole family below α.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def confidence_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The interval of Student's t around the mean of ``values``; NaN for fewer than two, whose variance is unknown."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    found = np.asarray(values, np.float64)
    if found.size < 2:
        return math.nan, math.nan
    half = float(special.stdtrit(found.size - 1, (1 + level) / 2)) * _standard_error(found)
    return float(found.mean()) - half, float(found.mean()) + half


def effect_size(differences: ArrayLike) -> float:
    """Cohen's d of paired differences: their mean over their standard deviation.

    0 where all are 0; NaN where all are the same other number, or there are fewer than two.
    """
    found = np.asarray(differences, np.float64)
    if not found.any():
        return 0.0
    deviation = _standard_error(found) * math.sqrt(found.size) if found.size > 1 else 0.0
    return float(found.mean()) / deviation if deviation else math.nan


def _standard_error(values: NDArray[np.float64]) -> float:
    """The standard error of the mean; exactly 0 for values that are all the same."""
    if (values == values[0]).all():
        return 0.0
    return float(values.std(ddof=1) / math.sqrt(values.size))


def _enumerated(differences: NDArray[np.float64]) -> float:
    sums = np.zeros(1)
    for difference in differences[differences != 0]:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(_as_extreme(sums[:, None], differences[:, None])))


def _drawn(columns: NDArray[np.float64], n_samples: int, seed: int) -> NDArray[np.float64]:
    """The p-values of Monte Carlo; one assignment of signs serves all columns."""
    generator, n_queries = np.random.default_rng(seed), columns.shape[0]
    totals, rows = columns.sum(0), max(BLOCK // max(columns.shape), 1)
    hits = np.zeros(columns.shape[1], np.int64)
    for start in range(0, n_samples, rows):
        count = min(rows, n_samples - start)
        signs = _bits(generator, count, n_queries).astype(np.float64)  # [count, queries], 0 or 1
        hits += np.count_nonzero(_as_extreme(2 * (signs @ columns) - totals, columns), axis=0)
    return (hits + 1) / (n_samples + 1)


def _bits(generator: np.random.Generator, n_rows: int, n_columns: int) -> NDArray[np.uint8]:
    """Random bits, uint8 [rows, columns]."""
    octets = generator.integers(0, 256, (n_rows, -(-n_columns // 8)), np.uint8)
    return np.unpackbits(octets, axis=1, count=n_columns)


def _as_extreme(sums: NDArray[np.float64], columns: NDArray[np.float64]) -> Any:
    """True for ``sums`` [samples, tests] that are as far from 0 as the sums of ``columns``, but for rounding."""
    return np.abs(sums) >= np.abs(columns.sum(0)) - TOLERANCE * np.abs(columns).sum(0)
