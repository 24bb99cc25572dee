"""Numbers and names as all tables of a comparison write them."""

from collections.abc import Mapping

from splade.comparing.comparison import Comparison, Mean

COSTS = {"flops": "FLOPS", "latency_ms": "latency (ms)", "index_bytes": "index (MB)"}
"""The columns of costs; bytes are shown in millions."""

MeansOf = Mapping[str, Mapping[str, Mean]]
"""Means by metric and system."""


def known_costs(comparison: Comparison) -> list[str]:
    """The costs that a system of the comparison has."""
    systems = [system for found in comparison.sets.values() for system in found]
    return [cost for cost in COSTS if any(cost in system.costs for system in systems)]


def is_best(means: Mapping[str, Mean], name: str) -> bool:
    """True where no system has a higher mean."""
    return means[name].value == max(mean.value for mean in means.values())


def cost_text(cost: str, value: float | None, unknown: str) -> str:
    """A cost in the unit of its column; ``unknown`` for None."""
    return unknown if value is None else f"{value / 1e6 if cost == 'index_bytes' else value:.4g}"
