"""Single queries: the hardest, and those that one system answers better than another."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Moved(NamedTuple):
    """A query with the values of two systems on it."""

    query_id: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The first system's value minus the second's."""
        return self.first - self.second


def hardest(values: Sequence[Mapping[str, float]], n: int = 10) -> list[tuple[str, float]]:
    """The ``n`` queries with the lowest values, lowest first, each with its value; ties in the order of the queries.

    ``values`` are ``{query: value}`` of one or more systems on the same queries; a query has its mean over them.
    """
    if not values:
        return []
    means = {query: sum(each[query] for each in values) / len(values) for query in values[0]}
    return sorted(means.items(), key=lambda item: item[1])[:n]


def most_moved(first: Mapping[str, float], second: Mapping[str, float], n: int = 10) -> tuple[list[Moved], list[Moved]]:
    """The ``n`` queries that the first system wins by most, and the ``n`` that it loses by most, extremes first.

    ``first`` and ``second`` are ``{query: value}`` on the same queries. Ties stay in the order of the queries; queries
    of equal values are in neither list.
    """
    moved = [Moved(query, value, second[query]) for query, value in first.items()]
    won = sorted((one for one in moved if one.difference > 0), key=lambda one: -one.difference)
    lost = sorted((one for one in moved if one.difference < 0), key=lambda one: one.difference)
    return won[:n], lost[:n]


def risen_document(
    first: Mapping[str, float], second: Mapping[str, float], grades: Mapping[str, int]
) -> tuple[str, int | None, int | None] | None:
    """The relevant document that the first ranking raises most over the second, with its rank in each, from 1.

    ``first`` and ``second`` are ``{document: score}`` in the order of a run, best first. A document that is not found
    has the rank None. It rises by its grade times the difference of its reciprocal ranks, 0 for None. None where no
    relevant document rises.
    """
    ranks = [{doc_id: rank for rank, doc_id in enumerate(found, 1)} for found in (first, second)]

    def rise(doc_id: str) -> float:
        after, before = (1 / rank[doc_id] if doc_id in rank else 0.0 for rank in ranks)
        return grades[doc_id] * (after - before)

    best = max((doc_id for doc_id, grade in grades.items() if grade > 0), key=rise, default=None)
    return (best, ranks[0].get(best), ranks[1].get(best)) if best is not None and rise(best) > 0 else None
