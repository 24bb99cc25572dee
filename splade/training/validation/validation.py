"""Held-out figures during training, and which of them was best."""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.examples.examples import ExampleSource
from splade.evaluation.metrics import evaluate
from splade.files import InputError
from splade.models import Retriever
from splade.records import Example
from splade.training.step.optimizer_step import GlobalBatchGradient
from splade.training.step.sampling import VALIDATION, random_stream
from splade.training.validation.full_ranking import FullRanking
from splade.training.validation.several_rankings import SeveralRankings

logger = logging.getLogger(__name__)

LOSS = "loss"
VALIDATION_LOSS = "validation_loss"


class Best(NamedTuple):
    """The best validation so far, and how many came after it without being better."""

    score: float | None = None
    step: int = 0
    since: int = 0

    def after(self, score: float, step: int, lower_is_better: bool) -> "Best":
        """The best once the validation of ``step`` gave ``score``; a tie or NaN is no improvement."""
        known = self.score is not None
        better = not known or (score < self.score if lower_is_better else score > self.score)  # type: ignore[operator]
        if better and not math.isnan(score):
            return Best(score, step, 0)
        return self._replace(since=self.since + 1)


class Monitor(NamedTuple):
    """The validation figure that decides which weights are best."""

    figure: str  # its name among the figures of a validation
    lower_is_better: bool


class ValidationLoss:
    """The ranking loss, without penalties, over held-out examples: the same ones with the same documents each time.

    Penalties are left out because λ grows during training, so that sums of the two could not be compared.
    """

    def __init__(self, examples: ExampleSource, held_out: NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.examples, self.held_out, self.batch_size, self.seed = examples, held_out, batch_size, seed

    def __call__(self, gradient: GlobalBatchGradient, step: int) -> dict[str, float]:
        """``{"validation_loss": mean over examples}``, in batches of the training's size, without dropout."""
        total = 0.0
        for batch in self._batches():
            outcome = gradient.evaluate(gradient.share(batch), step)
            total += outcome.logged["loss"] * len(batch)
        return {VALIDATION_LOSS: total / len(self.held_out)}

    def _batches(self) -> Iterator[list[Example]]:
        for start in range(0, len(self.held_out), self.batch_size):
            yield [
                self.examples.example(int(index), random_stream(self.seed, VALIDATION, int(index)))
                for index in self.held_out[start : start + self.batch_size]
            ]


class Validation:
    """Everything that is measured on held-out data, and the monitor among it.

    ``held_out`` are example numbers for the loss; ``full_ranking`` gives ``metrics``, and the one that
    ``monitor`` names. InputError or ValueError where a name cannot be measured.
    """

    def __init__(
        self,
        loss: ValidationLoss | None,
        full_ranking: FullRanking | SeveralRankings | None,
        metrics: Sequence[str],
        monitor: str | None,
    ) -> None:
        self.loss, self.full_ranking = loss, full_ranking
        wanted = list(metrics)
        by_metric = bool(monitor) and str(monitor).lower() != LOSS
        if by_metric and plain_name(str(monitor)) not in map(plain_name, wanted):
            wanted.append(str(monitor))
        if metrics and full_ranking is None:
            logger.warning("config.validation_metrics has no effect without data.VALIDATION_FULL_RANKING")
        self.metrics = wanted if full_ranking is not None else []
        figures = list(evaluate({}, {"q": {"d": 1}}, self.metrics)) if self.metrics else []
        measured = full_ranking.columns(figures) if isinstance(full_ranking, SeveralRankings) else figures
        self.columns = [*([VALIDATION_LOSS] if loss is not None else []), *measured]
        self.monitor = choose_monitor(monitor, figures, has_loss=loss is not None, has_ranking=full_ranking is not None)

    def __call__(self, model: Retriever, gradient: GlobalBatchGradient, step: int) -> dict[str, float]:
        """The figures of the model as it is after ``step`` optimizer steps; empty where nothing is asked."""
        figures: dict[str, float] = {}
        if self.loss is not None:
            figures |= self.loss(gradient, step)
        if self.full_ranking is not None and self.metrics:
            figures |= self.full_ranking(model, self.metrics)
        return figures


def choose_monitor(name: str | None, metrics: Sequence[str], *, has_loss: bool, has_ranking: bool) -> Monitor | None:
    """The monitor that ``config.monitoring_ckpt`` names; InputError where nothing would measure it.

    A metric may be spelt MRR@10 or mrr_10, and must be one of ``metrics`` (figures of the full ranking).
    """
    if not name:
        return None
    if name.lower() == LOSS:
        if not has_loss:
            raise InputError(
                f"config.monitoring_ckpt={name} needs examples to measure it on: set data.VALIDATION_SIZE_FOR_LOSS"
            )
        return Monitor(VALIDATION_LOSS, True)
    if not has_ranking:
        raise InputError(
            f"config.monitoring_ckpt={name} needs a validation by full ranking: set data.VALIDATION_FULL_RANKING, "
            "or use config.monitoring_ckpt=loss"
        )
    for figure in metrics:
        if plain_name(figure) == plain_name(name):
            return Monitor(figure, False)
    raise InputError(
        f"config.monitoring_ckpt={name} is not measured; accepted: loss and config.validation_metrics "
        f"({', '.join(metrics) or 'none'})"
    )


def plain_name(metric: str) -> str:
    """One spelling for the published spellings of a metric: ``MRR@10`` and ``mrr_10`` are both ``mrr_10``."""
    return metric.lower().replace("@", "_").replace("_cut_", "_")
