"""A comparison: means with intervals, and the tests of every pair of systems on every metric and query set."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.comparing.significance import (
    confidence_interval,
    effect_size,
    holm,
    is_exact,
    randomisation_test,
    t_test,
)
from splade.comparing.systems import System
from splade.files import InputError

ROUNDING = 1e-12  # values that differ by less are equal


class Settings(NamedTuple):
    """The choices of a comparison."""

    baseline: str | None = None  # None: all pairs
    level: float = 0.95  # of confidence intervals; p-values below 1 - level are significant
    n_samples: int = 100_000  # of the randomisation test
    seed: int = 0


class Mean(NamedTuple):
    """The mean of a metric, with its confidence interval; NaN where a single query tells none."""

    value: float
    low: float
    high: float


class Pair(NamedTuple):
    """Two systems on a metric and a query set: the first minus the second."""

    dataset: str
    metric: str
    first: str
    second: str
    n_queries: int
    difference: float  # of the means
    low: float  # of the difference's confidence interval
    high: float
    effect: float  # Cohen's d of the paired differences
    wins: int  # queries on which the first is better
    losses: int
    ties: int
    exact: bool  # True where the randomisation test enumerates all signs
    p_t: float
    p_randomisation: float
    p_t_holm: float
    p_randomisation_holm: float


class Comparison(NamedTuple):
    """Systems compared."""

    settings: Settings
    names: list[str]
    metrics: list[str]
    sets: dict[str, list[System]]
    means: dict[str, dict[str, dict[str, Mean]]]  # {query set: {metric: {system: mean}}}
    pairs: list[Pair]

    @property
    def family(self) -> str:
        """The family of tests that Holm's correction is over, in words."""
        n_pairs = len({(pair.first, pair.second) for pair in self.pairs})
        factors = [_count(n_pairs, "pair") + " of systems", _count(len(self.metrics), "metric")]
        factors += [_count(len(self.sets), "query set")] if len(self.sets) > 1 else []
        return f"{_count(len(self.pairs), 'test')} ({' × '.join(factors)})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def compare(sets: Mapping[str, Sequence[System]], settings: Settings | None = None) -> Comparison:
    """Compare the systems of each query set, as `splade.comparing.systems.read_systems` has them.

    The family of Holm's correction is every pair, on every metric and query set; each of the two tests has its own.
    InputError for a baseline that is no system of a query set.
    """
    settings = settings or Settings()
    names = list(dict.fromkeys(system.name for systems in sets.values() for system in systems))
    metrics = list(next(iter(sets.values()))[0].per_query)
    means = {
        dataset: {
            metric: {system.name: _mean(system, metric, settings.level) for system in systems} for metric in metrics
        }
        for dataset, systems in sets.items()
    }
    pairs = [pair for dataset, systems in sets.items() for pair in _pairs(dataset, systems, metrics, settings)]
    by_t, by_chance = holm([pair.p_t for pair in pairs]), holm([pair.p_randomisation for pair in pairs])
    pairs = [
        pair._replace(p_t_holm=p_t, p_randomisation_holm=p_chance)
        for pair, p_t, p_chance in zip(pairs, by_t, by_chance, strict=True)
    ]
    return Comparison(settings, names, metrics, {name: list(found) for name, found in sets.items()}, means, pairs)


def averages(comparison: Comparison) -> dict[str, dict[str, Mean]]:
    """The mean over the query sets, each counted once, of every metric and system that is in all: ``{metric: …}``.

    The interval is the one of independent samples of queries in each set, by the normal approximation.
    """
    systems = [{system.name: system for system in found} for found in comparison.sets.values()]
    names = [name for name in comparison.names if all(name in each for each in systems)]
    return {
        metric: {name: _average([each[name].per_query[metric] for each in systems], comparison) for name in names}
        for metric in comparison.metrics
    }


def differences(first: Mapping[str, float], second: Mapping[str, float]) -> NDArray[np.float64]:
    """The differences of two systems on the same queries, float64 [queries]; those of rounding are 0."""
    found = np.array([value - second[query] for query, value in first.items()], np.float64)
    found[np.abs(found) < ROUNDING] = 0.0
    return found


def _mean(system: System, metric: str, level: float) -> Mean:
    values = list(system.per_query[metric].values())
    return Mean(sum(values) / len(values) if values else math.nan, *confidence_interval(values, level))


def _average(values: Sequence[Mapping[str, float]], comparison: Comparison) -> Mean:
    from scipy.special import ndtri

    found = [np.array(list(each.values()), np.float64) for each in values]
    value = sum(float(each.mean()) for each in found) / len(found)
    if min(each.size for each in found) < 2:
        return Mean(value, math.nan, math.nan)
    error = math.sqrt(sum(float(each.var(ddof=1)) / each.size for each in found)) / len(found)
    half = float(ndtri((1 + comparison.settings.level) / 2)) * error
    return Mean(value, value - half, value + half)


def _pairs(dataset: str, systems: Sequence[System], metrics: Sequence[str], settings: Settings) -> list[Pair]:
    """The tests of one query set, not corrected yet."""
    compared = _compared(dataset, systems, settings.baseline)
    asked = [(first, second, metric) for first, second in compared for metric in metrics]
    found = [differences(first.per_query[metric], second.per_query[metric]) for first, second, metric in asked]
    by_chance = randomisation_test(np.stack(found, axis=1), settings.n_samples, settings.seed)
    pairs = []
    for (first, second, metric), column, p_chance in zip(asked, found, by_chance.tolist(), strict=True):
        wins, losses = int((column > 0).sum()), int((column < 0).sum())
        pairs.append(
            Pair(
                dataset=dataset,
                metric=metric,
                first=first.name,
                second=second.name,
                n_queries=column.size,
                difference=float(column.mean()) if column.size else 0.0,
                **dict(zip(("low", "high"), confidence_interval(column, settings.level), strict=True)),
                effect=effect_size(column),
                wins=wins,
                losses=losses,
                ties=column.size - wins - losses,
                exact=is_exact(column, settings.n_samples),
                p_t=t_test(column),
                p_randomisation=p_chance,
                p_t_holm=math.nan,
                p_randomisation_holm=math.nan,
            )
        )
    return pairs


def _compared(dataset: str, systems: Sequence[System], baseline: str | None) -> list[tuple[System, System]]:
    """All pairs in order; with a baseline, each other system and it."""
    if baseline is None:
        return list(combinations(systems, 2))
    of_name = {system.name: system for system in systems}
    if baseline not in of_name:
        raise InputError(f"compare.baseline={baseline}: no such system on {dataset}; there are {', '.join(of_name)}")
    return [(system, of_name[baseline]) for system in systems if system.name != baseline]
