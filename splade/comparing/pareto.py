"""The systems that no other beats at once in effectiveness and cost."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The numbers of the points (cost, value) that no other dominates, cheapest first.

    A point dominates another where it costs no more, is worth no less, and is better in one of the two. Equal points
    do not dominate each other. Low costs and high values are good.
    """
    order = sorted(range(len(points)), key=lambda number: (points[number][0], -points[number][1], number))
    front: list[int] = []
    for number in order:
        if not front or points[number][1] > points[front[-1]][1] or points[number] == points[front[-1]]:
            front.append(number)
    return front
