"""The training loop: optimizer steps, validation, best and last weights, exact resume.

Everything random is a function of the seed and the step, and everything else that a step depends on is in
``model_ckpt/last/``: a run that was interrupted and continued ends, on a CPU, with the same weights
bit for bit as one that was not.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from splade.data.examples.examples import ExampleSource
from splade.files import InputError
from splade.losses import Loss, MaskedLanguageModel
from splade.models import Retriever, save_retriever
from splade.models.backbones.devices import own_device
from splade.models.saving.checkpoint import check_replaceable
from splade.progress import progress
from splade.regularization.penalties import Penalty
from splade.training import checkpoint
from splade.training.compatibility_checks import check_early_stopping, check_loss, check_processes, name_terms
from splade.training.distributed.processes import anywhere, on_first_rank, world
from splade.training.interrupts import Interrupted, Interrupts
from splade.training.monitoring import Health, StepRows, TrainingLog
from splade.training.step.optimizer_step import GlobalBatchGradient, OptimizerStep
from splade.training.step.sampling import GlobalBatches, split_validation
from splade.training.step.settings import TrainingSettings
from splade.training.step.trained_parts import TrainedParts
from splade.training.step.window import Window
from splade.training.summary import ALL_STEPS, EARLY, Progress, TrainingSummary
from splade.training.validation.full_ranking import FullRanking
from splade.training.validation.several_rankings import SeveralRankings
from splade.training.validation.validation import Best, Validation, ValidationLoss

logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class Trainer(TrainingSettings):
    """Trains ``model`` into ``checkpoint_dir``; the other keyword settings are those of ``TrainingSettings``.

    Writes ``model/`` (best weights, or the last ones where nothing is monitored), ``model_ckpt/last/`` (the
    state to continue from), ``training_log.csv``, ``training_log.jsonl`` and ``tensorboard/``. ``describe``
    holds all other facts that decide the weights (the resolved config). A run continues only where it and the
    settings are the same.

    InputError or ValueError on assembly where parts or settings do not fit each other.
    """

    model: Retriever
    loss: Loss | MaskedLanguageModel
    penalties: Sequence[Penalty]
    examples: ExampleSource
    _: KW_ONLY
    full_ranking: FullRanking | SeveralRankings | None = None
    describe: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.check_settings()
        self.rank, n_processes = world()
        check_loss(self.loss, self.examples, self.in_batch_negatives)
        check_early_stopping(self)
        check_processes(self, n_processes)
        self._folder = Path(self.checkpoint_dir)
        self.model_dir, self.last = self._folder / "model", self._folder / "model_ckpt" / "last"
        self._description = checkpoint.description_of(
            self, self.loss, self.penalties, self.model, len(self.examples), self.describe
        )
        name_terms(self.penalties, self.model)
        train, held_out = split_validation(len(self.examples), self.validation_loss_examples, self.seed)
        self.validation = self._validation(held_out)
        self._continues()
        device = own_device() if self.device is None else torch.device(self.device)
        batches = GlobalBatches(train, self.train_batch_size, self.seed)
        self.parts = TrainedParts(self.model, self.loss, self.penalties, self, device)
        self.optimizer_step = OptimizerStep(self.parts, self.examples, batches, self)
        self.progress, self.window = Progress(), Window()

    def run(self) -> TrainingSummary:
        """Train until all steps are done or early stopping ends it; a finished training is left as it is.

        Ctrl-C, SIGTERM and SIGUSR1 end the step, write the checkpoint and raise ``Interrupted``.
        """
        self._start()
        first = self.progress.step
        if not self.progress.finished:
            self._run()
        step, _, best, figures, finished = self.progress
        monitor = self.validation.monitor
        name = monitor.figure if monitor else None
        kept = step if self._keeps_last(best, finished) else best.step
        return TrainingSummary(step, step - first, finished, name, best.score, best.step, figures, kept, self.model_dir)

    # ── start, continue, leave ──

    def _validation(self, held_out: NDArray[np.int64]) -> Validation:
        loss = ValidationLoss(self.examples, held_out, self.train_batch_size, self.seed) if len(held_out) else None
        return Validation(loss, self.full_ranking, self.validation_metrics, self.monitoring_ckpt)

    def _continues(self) -> bool:
        """True where ``checkpoint_dir`` holds a training to continue; InputError where that had other settings.

        Also where ``model/`` could not be replaced in the end, since another program's files are in it.
        """

        def look() -> bool:
            for folder in (self.last, self.model_dir):
                checkpoint.recover(folder)
            check_replaceable(self.model_dir)
            found = self.last.exists() and self.resume
            if found:
                checkpoint.check_same_run(self.last, self._description)
            return found

        return on_first_rank(look)

    def _start(self) -> None:
        checkpoint.seed_everything(self.seed)
        self.progress = Progress()
        self.window.clear()
        if self._continues():
            self._restore(checkpoint.load_state(self.last))
        elif self.rank == 0 and not self.resume:
            checkpoint.discard(self._folder)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.progress = Progress.restored(state["progress"], self.nb_iterations)
        if self.progress.validated and not self.model_dir.is_dir():
            raise InputError(f"{self.model_dir} is gone: restore it, or delete {self._folder} to train from the start")
        self.parts.restore(state)
        self.window.restore(state["window"])
        checkpoint.restore_random_states(state["random"])
        if not self.progress.finished:
            logger.info("continuing the training in %s after step %d", self._folder, self.progress.step)

    def _save(self) -> None:
        state = {
            **self.parts.state(),
            "window": self.window.state(),
            "random": checkpoint.random_states(),
            "progress": self.progress.state(),
        }
        on_first_rank(lambda: checkpoint.save_state(self.last, state, self._description))

    def _run(self) -> None:
        self.log = self._open_log()
        self.rows = self._rows()
        self.interrupts = Interrupts(together=world()[1] > 1)
        total, done = self.nb_iterations, self.progress.step
        try:
            with (
                progress(desc="train", unit="step", initial=done, total=total, silent=bool(self.rank)) as bar,
                self.interrupts.active(),
            ):
                self._loop(bar)
        except KeyboardInterrupt as error:
            raise Interrupted(self._leave()) from error
        finally:
            if self.log is not None:
                self.log.close()

    def _open_log(self) -> TrainingLog | None:
        if self.rank:
            return None
        columns = [*self.parts.objective.columns(), "lr", "grad_norm", *self.parts.precision.columns]
        columns += ["epoch", "documents_per_second", *self.validation.columns]
        return TrainingLog(self._folder, columns, step=self.progress.step, tensorboard=self.tensorboard)

    def _rows(self) -> StepRows:
        return StepRows(
            self.window,
            self.log,
            Health(self.model.vocab_size, ramped=self.nb_iterations // 2),
            every=self.train_monitoring_freq,
            last=self.nb_iterations,
            done=self.progress.step,
            per_step=self.train_batch_size * self.gradient_accumulation_steps,
            n_examples=len(self.optimizer_step.batches.examples),
            n_documents=self.examples.n_documents,
        )

    def _leave(self) -> str:
        """Save the state where the step is whole; the words to leave with."""
        told = f"training interrupted by {self.interrupts.by}" if self.interrupts.by else "training interrupted"
        agreed = world()[1] == 1 or not self.interrupts.repeated  # other ranks may be in the next step
        if self.optimizer_step.whole and self.progress.step and agreed:
            self._save()
            return f"{told} after step {self.progress.step}; the same command continues from there"
        if self.last.exists():
            return f"{told} inside a step; the same command continues from the last checkpoint"
        return f"{told} before its first checkpoint; the same command starts again"

    # ── the loop ──

    def _loop(self, bar: "tqdm[Any]") -> None:
        while True:
            if self._record_is_due():
                self._record()
            if self.progress.finished:
                return
            with self.interrupts.deferred():
                logged = self.optimizer_step.take(self.progress.step)
                self.progress = self.progress._replace(step=self.progress.step + 1)
                self.optimizer_step.whole = True
                self.rows.add(self.progress.step, logged)
            bar.update()
            bar.set_postfix(loss=f"{logged['loss']:.4f}", refresh=False)
            if anywhere(self.interrupts.pending, self.parts.device):
                raise KeyboardInterrupt

    # ── validation and checkpoints ──

    def _validated(self, model: Any, gradient: GlobalBatchGradient, step: int) -> dict[str, float]:
        """The figures of ``model`` and its ``gradient``, on the first rank alone; empty where nothing is validated."""
        if not self.validation.columns:
            return {}
        with self.interrupts.alone(), self.parts.on_device(model):
            return self.validation(model, gradient, step)

    def _keeps_last(self, best: Best, finished: str) -> bool:
        """True where ``model/`` has the weights of the last validated step, best or not."""
        return best.step == 0 or bool(finished and self.overwrite_final)  # 0: nothing is monitored, or all was NaN

    def _record_is_due(self) -> bool:
        step = self.progress.step
        regular = step % self.record_frequency == 0 or step >= self.nb_iterations
        return step > self.progress.validated and regular

    def _record(self) -> None:
        """Validate, keep the weights where they are the best, decide whether to go on, and write the checkpoint.

        ``model/`` comes before the state that knows of it, so that a kill between the two only repeats work.
        """
        step, best, monitor = self.progress.step, self.progress.best, self.validation.monitor
        with self.parts.averaged():
            model, gradient = self.optimizer_step.on_one_rank()
            figures = on_first_rank(lambda: self._validated(model, gradient, step))
            if monitor is not None:
                best = best.after(figures[monitor.figure], step, monitor.lower_is_better)
            finished = ALL_STEPS if step >= self.nb_iterations else ""
            if self.early_stopping and best.since >= self.patience and not finished:
                finished = EARLY
            if best.step == step or self._keeps_last(best, finished):
                extra = {"training_step": step}
                on_first_rank(lambda: save_retriever(model, self.model_dir, extra=extra))
        self.progress = Progress(step, step, best, figures, finished)
        if figures and self.log is not None:
            self.log.write(step, figures)
            logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        self._save()
