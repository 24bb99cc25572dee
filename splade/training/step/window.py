"""Means of values since the last line of a training's log."""

from collections.abc import Mapping
from typing import Any


class Window:
    """Means of what was added since the last ``clear``; its state is plain values, so that a resumed run goes on."""

    def __init__(self) -> None:
        self.count, self.sums = 0, dict[str, float]()

    def add(self, values: Mapping[str, float]) -> None:
        """One more observation of every value."""
        self.count += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The mean of each value; empty where nothing was added."""
        return {name: total / self.count for name, total in self.sums.items()}

    def clear(self) -> None:
        """Forget everything."""
        self.count, self.sums = 0, {}

    def state(self) -> dict[str, Any]:
        """Return the count and the sums, as ``restore`` takes them."""
        return {"count": self.count, "sums": dict(self.sums)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state``."""
        self.count, self.sums = int(state["count"]), dict(state["sums"])
