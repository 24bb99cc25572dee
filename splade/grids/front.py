"""The Pareto front of points by cost and value."""

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """The numbers of the points that no other beats, by rising cost.

    A point beats another if it costs no more and is worth no less, and is better in one of the two. Of equal points
    the first is on the front.
    """
    front: list[int] = []
    for point in sorted(range(len(costs)), key=lambda n: (costs[n], -values[n], n)):
        if not front or values[point] > values[front[-1]]:
            front.append(point)
    return front
