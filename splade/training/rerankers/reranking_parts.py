"""Parts of a reranker's training around its loop: the checks, the log and the summary."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from splade.data.examples.examples import ExampleSource
from splade.files import InputError, whole_file
from splade.losses.scores import Loss


class RerankingSummary(NamedTuple):
    """The outcome of a reranker's training."""

    steps: int  # optimizer steps in all
    steps_now: int  # of them, taken by this call
    loss: float | None  # of the last step taken by this call
    model: Path

    def in_words(self) -> str:
        """One sentence for the screen."""
        if not self.steps_now:
            return f"training was finished already after {self.steps} steps; the model is in {self.model}"
        return f"trained to step {self.steps}, last loss {self.loss:.4f}; the model is in {self.model}"


class RerankingLog:
    """``training_log.jsonl``, a line for each call of ``write``; lines of steps after ``step`` are taken out first."""

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "training_log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        with whole_file(path) as stream:
            stream.writelines(f"{line}\n" for line in lines if _step_of(line) <= step)
        self._stream = path.open("a", encoding="utf-8")

    def write(self, logged: Mapping[str, Any]) -> None:
        """Add a line."""
        self._stream.write(json.dumps(logged) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing more will be written."""
        self._stream.close()


def check_supervision(loss: Loss, examples: ExampleSource) -> None:
    """InputError where the loss asks for what the examples do not have."""
    name = type(loss).__name__
    if loss.of_tokens:
        raise InputError(f"config.loss={name} is one of tokens, and a reranker gives scores: use PairwiseNLL or BCE")
    if loss.needs_in_batch:
        raise InputError(
            f"config.loss={name} scores every query with every document of the batch, which a reranker does not: "
            "use PairwiseNLL (cross-entropy over the group), BCE, or a distillation loss"
        )
    if loss.needs_teacher and not examples.has_teacher:
        raise InputError(f"config.loss={name} needs teacher scores, and the training data has none: see data.type")
    if examples.n_documents < loss.min_documents:
        raise InputError(
            f"config.loss={name} needs {loss.min_documents} documents per query, the training data has "
            f"{examples.n_documents}: use triplets or hard negatives"
        )


def _step_of(line: str) -> float:
    """The step of a log line; infinite for one that a kill cut short."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")
