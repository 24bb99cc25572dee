"""The progress of a training, which its checkpoints hold, and the summary that it returns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from splade.training.validation.validation import Best

ALL_STEPS, EARLY = "all steps", "early stopping"


class Progress(NamedTuple):
    """The progress of a training: its steps, its last and best validation, and how it finished."""

    step: int = 0  # optimizer steps done
    validated: int = 0  # the last step that was validated and recorded
    best: Best = Best()
    figures: dict[str, float] = {}  # noqa: RUF012 - of that validation; never changed in place
    finished: str = ""

    def state(self) -> tuple[Any, ...]:
        """The progress as plain values."""
        return tuple(self._replace(best=tuple(self.best)))  # type: ignore[arg-type]

    @classmethod
    def restored(cls, state: Sequence[Any], n_steps: int) -> "Progress":
        """The progress that gave ``state``; not finished where ``n_steps`` are more than were done."""
        step, validated, best, figures, finished = state
        if finished == ALL_STEPS and step < n_steps:
            finished = ""
        return cls(step, validated, Best(*best), figures, finished)


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
