"""A comparison as JSON values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from splade.comparing.comparison import Comparison, averages
from splade.comparing.formats import MeansOf
from splade.comparing.moves import PairMoves, QueryMove


def as_json(comparison: Comparison, moved: Sequence[PairMoves] = ()) -> dict[str, Any]:
    """All of a comparison as JSON values; what is not defined is null.

    ``differences`` has a row for each pair, metric and query set; ``per_query`` the value of each query.
    """
    settings = comparison.settings
    told = {
        "systems": comparison.names,
        "metrics": comparison.metrics,
        "baseline": settings.baseline,
        "tests": {
            "family": comparison.family,
            "correction": "Holm",
            "confidence_level": settings.level,
            "randomisation_samples": settings.n_samples,
            "seed": settings.seed,
        },
        "means": {name: _means_as_json(means) for name, means in comparison.means.items()},
        "costs": {
            name: {system.name: system.costs for system in systems if system.costs}
            for name, systems in comparison.sets.items()
        },
        "differences": [pair._asdict() for pair in comparison.pairs],
        "queries": [_moved_as_json(pair) for pair in moved],
        "per_query": {
            name: {metric: {one.name: one.per_query[metric] for one in systems} for metric in comparison.metrics}
            for name, systems in comparison.sets.items()
        },
    }
    if len(comparison.sets) > 1:
        told["averages"] = _means_as_json(averages(comparison))
    return dict(_finite(told))


def _means_as_json(means: MeansOf) -> dict[str, Any]:
    return {metric: {name: mean._asdict() for name, mean in of.items()} for metric, of in means.items()}


def _moved_as_json(pair: PairMoves) -> dict[str, Any]:
    def told(query: QueryMove) -> dict[str, Any]:
        found = query._asdict() | {"difference": query.difference}
        if query.document is not None:
            found["document"] = query.document._asdict()
            if query.document.explained is not None:
                terms = [{**term._asdict(), "difference": term.difference} for term in query.document.explained.terms]
                found["document"]["explained"] = query.document.explained._asdict() | {"terms": terms}
        return found

    return pair._asdict() | {"won": list(map(told, pair.won)), "lost": list(map(told, pair.lost))}


def _finite(value: Any) -> Any:
    """``value`` with null for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
