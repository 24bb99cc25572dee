"""The training loop: optimizer steps, validation, best and last weights, exact resume.

Everything random is a function of the seed and the step, and everything else that a step depends on is in
``model_ckpt/last/``: a run that was interrupted and continued ends, on a CPU, with the same weights
bit for bit as one that was not.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
from splade.training.monitoring import Health, TrainingLog
from splade.training.step.global_batch import GlobalStep
from splade.training.step.optimizer_step import Updates
from splade.training.step.sampling import GlobalBatches, split_validation
from splade.training.step.settings import TrainingSettings, plain
from splade.training.step.window import Window
from splade.training.summary import ALL_STEPS, EARLY, TrainingSummary
from splade.training.validation.full_ranking import FullRanking
from splade.training.validation.several_rankings import SeveralRankings
from splade.training.validation.validation import Best, Validation, ValidationLoss

logger = logging.getLogger(__name__)


class Progress(NamedTuple):
    """The progress of a training: its steps, its last and best validation, and how it finished."""

    step: int = 0  # optimizer steps done
    validated: int = 0  # the last step that was validated and recorded
    best: Best = Best()
    figures: dict[str, float] = {}  # noqa: RUF012 - of that validation; never changed in place
    finished: str = ""


@dataclass(eq=False, repr=False)
class Trainer(TrainingSettings):
    """Trains ``model`` into ``checkpoint_dir``; the other keyword settings are those of ``TrainingSettings``.

    Writes ``model/`` (best weights, or the last ones where nothing is monitored), ``model_ckpt/last/`` (the
    state to continue from), ``training_log.csv``, ``training_log.jsonl`` and ``tensorboard/``. ``describe``
    holds what else decides the weights (the resolved config): a run continues only where it and the
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
        self._description = self._describe()
        name_terms(self.penalties, self.model)
        train, held_out = split_validation(len(self.examples), self.validation_loss_examples, self.seed)
        self.validation = self._validation(held_out)
        self._continues()
        self._device = own_device() if self.device is None else torch.device(self.device)
        batches = GlobalBatches(train, self.train_batch_size, self.seed)
        self.updates = Updates(self.model, self.loss, self.penalties, self.examples, batches, self, self._device)
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

    def _describe(self) -> dict[str, Any]:
        """Everything known here that decides the weights, for JSON."""
        penalties = {
            f"{each.name}_{each.side}": {"measure": plain(each.measure), "ramp": plain(each.ramp)}
            for each in self.penalties
        }
        model: dict[str, Any] = getattr(self.model, "settings", dict)()
        parts = {"loss": plain(self.loss), "penalties": penalties, "model": plain(model)}
        # Absent where nothing is masked: so trained what was begun before there was the setting.
        parts["mask_answers"] = (self.mask_answers and self.loss.needs_in_batch) or None
        return {
            "trainer": {**self.described(), **parts, "n_examples": len(self.examples)},
            "run": plain(self.describe or {}),
        }

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
        step, validated, best, figures, finished = state["progress"]
        if finished == ALL_STEPS and step < self.nb_iterations:
            finished = ""
        self.progress = Progress(step, validated, Best(*best), figures, finished)
        if validated and not self.model_dir.is_dir():
            raise InputError(f"{self.model_dir} is gone: restore it, or delete {self._folder} to train from the start")
        self.updates.restore(state)
        self.window.restore(state["window"])
        checkpoint.restore_random_states(state["random"])
        if not finished:
            logger.info("continuing the training in %s after step %d", self._folder, step)

    def _save(self) -> None:
        state = {
            **self.updates.state(),
            "window": self.window.state(),
            "random": checkpoint.random_states(),
            "progress": tuple(self.progress._replace(best=tuple(self.progress.best))),  # type: ignore[arg-type]
        }
        on_first_rank(lambda: checkpoint.save_state(self.last, state, self._description))

    def _run(self) -> None:
        self.log = self._open_log()
        self.health = Health(self.model.vocab_size, ramped=self.nb_iterations // 2)
        self.interrupts = Interrupts(together=world()[1] > 1)
        self._clock, self._clock_step = time.perf_counter(), self.progress.step
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
        columns = [*self.updates.objective.columns(), "lr", "grad_norm", *self.updates.precision.columns]
        columns += ["epoch", "documents_per_second", *self.validation.columns]
        return TrainingLog(self._folder, columns, step=self.progress.step, tensorboard=self.tensorboard)

    def _leave(self) -> str:
        """Save what can be continued from; the words to leave with."""
        told = f"training interrupted by {self.interrupts.by}" if self.interrupts.by else "training interrupted"
        agreed = world()[1] == 1 or not self.interrupts.repeated  # other ranks may be in the next step
        if self.updates.whole and self.progress.step and agreed:
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
                logged = self.updates.take(self.progress.step)
                self.progress = self.progress._replace(step=self.progress.step + 1)
                self.updates.whole = True
                self._log(logged)
            bar.update()
            bar.set_postfix(loss=f"{logged['loss']:.4f}", refresh=False)
            if anywhere(self.interrupts.pending, self._device):
                raise KeyboardInterrupt

    def _log(self, logged: Mapping[str, float]) -> None:
        """Add a step to the window; write the window's means where a row is due."""
        self.window.add(logged)
        step = self.progress.step
        if step % self.train_monitoring_freq and step < self.nb_iterations:
            return
        means, now = self.window.means(), time.perf_counter()
        per_step = self.train_batch_size * self.gradient_accumulation_steps
        documents = (step - self._clock_step) * per_step * self.examples.n_documents
        means["documents_per_second"] = documents / max(now - self._clock, 1e-9)
        means["epoch"] = step * per_step / len(self.updates.batches.examples)
        self._clock, self._clock_step = now, step
        self.window.clear()
        if self.log is not None:
            self.log.write(step, means)
            self.health.check(step, means)

    # ── validation and checkpoints ──

    def _validated(self, model: Any, global_step: GlobalStep, step: int) -> dict[str, float]:
        """The figures of what ``on_one_rank`` gave; nothing where nothing is validated."""
        if not self.validation.columns:
            return {}
        with self.interrupts.alone(), self.updates.on_device(model):
            return self.validation(model, global_step, step)

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
        with self.updates.averaged():
            model, global_step = self.updates.on_one_rank()
            figures = on_first_rank(lambda: self._validated(model, global_step, step))
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
