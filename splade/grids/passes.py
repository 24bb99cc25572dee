"""Times of many points on one machine, measured in turns so that its moods fall on all of them alike."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.files import read_json, whole_file, write_json
from splade.progress import progress

Search = Callable[[], Sequence[float]]
"""Searches all queries once; returns the seconds that each took."""


class Passes:
    """Rounds of passes: in each round every point searches all queries once, and each round begins with another point.

    Every second round goes backwards, so that a point does not always follow the same one. Finished rounds are kept in
    ``folder`` until `drop`; a run that was interrupted goes on after them if ``session``, which JSON can hold, is the
    same, and begins again if not.
    """

    def __init__(self, folder: Path, session: Any, repeats: int) -> None:
        if repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {repeats}")
        self.folder, self.repeats = folder, repeats
        about = folder / "session.json"
        if not about.is_file() or read_json(about) != session:
            shutil.rmtree(folder, ignore_errors=True)
            write_json(about, session)

    def order(self, turn: int, n_points: int) -> list[int]:
        """The points in the order in which a round times them."""
        first = turn * n_points // self.repeats
        rotated = [(first + step) % n_points for step in range(n_points)]
        return rotated[::-1] if turn % 2 else rotated

    def measure(self, searches: Sequence[Search]) -> NDArray[np.float64]:
        """Median over the rounds of the seconds that each query takes at each point; float64 [points, queries].

        A round that is interrupted is not kept.
        """
        rounds = []
        for turn in progress(range(self.repeats), desc="passes", unit="round"):
            kept = self.folder / f"{turn:03d}.npy"
            if not kept.is_file():
                measured: list[Sequence[float]] = [()] * len(searches)
                for point in self.order(turn, len(searches)):
                    measured[point] = searches[point]()
                with whole_file(kept, "wb") as stream:
                    np.save(stream, np.array(measured, np.float64))
            rounds.append(np.load(kept))
        return np.median(rounds, axis=0)

    def drop(self) -> None:
        """Remove the rounds, and the folder around theirs if nothing else is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()
