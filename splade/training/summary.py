"""The summary that a training returns."""

from pathlib import Path
from typing import NamedTuple

ALL_STEPS, EARLY = "all steps", "early stopping"


class TrainingSummary(NamedTuple):
    """The outcome of a training: how far it went, why it ended, and which weights ``model_dir`` holds."""

    steps: int  # optimizer steps in all
    steps_now: int  # of them, taken by this call
    stopped: str  # "all steps" or "early stopping"
    monitor: str | None  # the validation figure that chose the weights
    best_score: float | None
    best_step: int
    figures: dict[str, float]  # of the last validation
    model_step: int  # the step whose weights model_dir holds
    model_dir: Path

    def in_words(self) -> str:
        """One sentence for the screen."""
        done = f"training had finished before, after {self.steps} steps: nothing to do"
        if self.steps_now:
            why = "stopped early, no better validation in sight" if self.stopped == EARLY else "finished"
            done = f"training {why} after {self.steps} steps"
        best = ""
        if self.best_score is not None:
            best = f"; best {self.monitor} {self.best_score:.4f} at step {self.best_step}"
        return f"{done}{best}; weights of step {self.model_step} in {self.model_dir}"
