"""Training of rerankers: groups of one positive and its negatives, the losses of first-stage training.

A reranker scores each group by itself, so a global batch may be cut anywhere: micro-batches and the shares of processes
are weighted by their size and give the gradient of the whole batch.

Letters: ``B`` queries of the global batch, ``n`` documents per query, the positive first.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splade.data.examples.examples import ExampleSource
from splade.files import whole_folder
from splade.losses.scores import Loss, Scores
from splade.models.backbones.devices import own_device
from splade.models.rerankers import Reranker
from splade.models.rerankers.base import DESCRIPTION
from splade.models.saving.checkpoint import check_replaceable
from splade.progress import progress
from splade.records import Example
from splade.training.checkpoint import check_same_run, discard, load_state, recover, save_state, seed_everything
from splade.training.distributed.gradient_checkpointing import checkpoint_activations
from splade.training.distributed.processes import (
    anywhere,
    check_enough,
    on_first_rank,
    own_share,
    same_start,
    sum_gradients,
    summed,
    world,
)
from splade.training.interrupts import Interrupted, Interrupts
from splade.training.rerankers.reranking_parts import RerankingLog, RerankingSummary, check_supervision
from splade.training.step.dropout_masks import Masks, text_keys
from splade.training.step.optimizer import (
    Precision,
    adamw,
    check_finite,
    learning_rate_factor,
    learning_rates,
    set_learning_rates,
)
from splade.training.step.sampling import DOCUMENTS, Draw, GlobalBatches, random_stream

logger = logging.getLogger(__name__)


class RerankerTrainer:
    """Trains ``reranker`` on ``examples`` and writes ``checkpoint_dir``.

    Instead of a reranker, give a function that makes one: it is called with random numbers from ``seed``,
    after everything else has been checked.

    ``model/`` holds the weights of the last checkpoint, ``model_ckpt/last/`` the state to continue from,
    ``training_log.jsonl`` a line every ``train_monitoring_freq`` steps; checkpoints come every
    ``record_frequency`` steps and at the end. ``nb_iterations`` counts optimizer steps, each of
    ``gradient_accumulation_steps`` batches of ``train_batch_size`` queries. ``micro_batch_size`` queries are
    encoded at once, ``gradient_checkpointing`` computes the backbone's states again instead of keeping them: both
    bound memory and change no arithmetic. Under torchrun every process takes its share of each batch and holds all
    weights. ``resume=False`` discards what the folder holds of an earlier training.

    A training that was interrupted continues where it stopped and, on a CPU, ends with the same weights
    bit for bit; a finished one is left as it is. ``describe`` (JSON values) holds the other facts that
    must stay the same for a training to be continued: the sources of its data and first weights. Missing
    supervision is an InputError before anything runs.
    """

    def __init__(
        self,
        reranker: Reranker | Callable[[], Reranker],
        loss: Loss,
        examples: ExampleSource,
        *,
        checkpoint_dir: str | Path,
        lr: float = 2e-5,
        weight_decay: float = 0.01,
        warmup_steps: int = 0,
        nb_iterations: int,
        train_batch_size: int,
        micro_batch_size: int | None = None,
        gradient_checkpointing: bool = False,
        gradient_accumulation_steps: int = 1,
        max_grad_norm: float | None = 1.0,
        fp16: bool = False,
        bf16: bool = False,
        seed: int = 0,
        train_monitoring_freq: int = 100,
        record_frequency: int = 1000,
        resume: bool = True,
        device: str | None = None,
        describe: Mapping[str, Any] | None = None,
    ) -> None:
        counts = {
            "nb_iterations": nb_iterations,
            "train_batch_size": train_batch_size,
            "gradient_accumulation_steps": gradient_accumulation_steps,
            "train_monitoring_freq": train_monitoring_freq,
            "record_frequency": record_frequency,
            "micro_batch_size": 1 if micro_batch_size is None else micro_batch_size,
        }
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"config.{name} must be at least 1, got {count}")
        check_supervision(loss, examples)
        check_enough(train_batch_size, "queries")
        self.rank, _ = world()
        self.device = own_device() if device is None else torch.device(device)
        if not isinstance(reranker, Reranker):
            seed_everything(seed)  # new weights start from the seed
            reranker = reranker()
        self.reranker, self.loss, self.examples = reranker.to(self.device), loss, examples
        if gradient_checkpointing:
            checkpoint_activations(reranker)
        same_start(reranker)
        self.directory, self.resume, self.seed = Path(checkpoint_dir), resume, seed
        self.lr, self.warmup_steps, self.nb_iterations = lr, warmup_steps, nb_iterations
        self.micro_batch_size = micro_batch_size or train_batch_size
        self.accumulation, self.max_grad_norm = gradient_accumulation_steps, max_grad_norm
        self.train_monitoring_freq, self.record_frequency = train_monitoring_freq, record_frequency
        self.batches = GlobalBatches(np.arange(len(examples)), train_batch_size, seed)
        self.optimizer = adamw(self.reranker, lr, weight_decay)
        self.rates = learning_rates(self.optimizer)
        self.precision = Precision(self.device, fp16=fp16, bf16=bf16)
        self.describe = {
            **{"kind": reranker.kind, **reranker.settings(), "loss": repr(loss), "n_examples": len(examples)},
            **{"n_documents": examples.n_documents, "lr": lr, "weight_decay": weight_decay, "seed": seed},
            **{"warmup_steps": warmup_steps, "nb_iterations": nb_iterations, "max_grad_norm": max_grad_norm},
            **{"train_batch_size": train_batch_size, "gradient_accumulation_steps": gradient_accumulation_steps},
            **{"fp16": fp16, "bf16": bf16, "given": dict(describe or {})},
        }
        self.masks = Masks(seed, self.device)
        self.step = 0
        on_first_rank(self._check_continuation)

    @property
    def last(self) -> Path:
        """The folder of the state to continue from."""
        return self.directory / "model_ckpt" / "last"

    def run(self) -> RerankingSummary:
        """Train to ``nb_iterations`` steps; Interrupted after Ctrl-C, SIGTERM or SIGUSR1, with the state saved."""
        self._restore()
        first, loss = self.step, None
        interrupts = Interrupts(together=True)  # whatever is outside a step takes no time
        self.reranker.train()
        log = None if self.rank else RerankingLog(self.directory, self.step)
        bar = progress(desc="train", unit="step", total=self.nb_iterations, initial=self.step, silent=bool(self.rank))
        try:
            with interrupts.active(), bar:
                while self.step < self.nb_iterations:
                    with interrupts.deferred():
                        logged = self._optimizer_step()
                        loss, finished = logged["loss"], self.step == self.nb_iterations
                        if log is not None and (finished or self.step % self.train_monitoring_freq == 0):
                            log.write(logged)
                        stopping = anywhere(interrupts.pending, self.device)
                        if stopping or finished or self.step % self.record_frequency == 0:
                            on_first_rank(self._save)
                    bar.update()
                    bar.set_postfix(loss=f"{loss:.4f}")
                    if stopping and not finished:
                        by = f" by {interrupts.by}" if interrupts.by else ""
                        words = f"stopped{by} after step {self.step}; the same command continues from {self.last}"
                        raise Interrupted(words)
        finally:
            if log is not None:
                log.close()
        return RerankingSummary(self.step, self.step - first, loss, self.directory / "model")

    def _optimizer_step(self) -> dict[str, float]:
        """One update of the weights; what there is to log of it."""
        factor = learning_rate_factor(self.step, self.warmup_steps, self.nb_iterations)
        rate = self.lr * factor
        set_learning_rates(self.optimizer, self.rates, factor)
        self.optimizer.zero_grad(set_to_none=True)
        batches = range(self.step * self.accumulation, (self.step + 1) * self.accumulation)
        parts = [self._add_gradient(number) for number in batches]  # loss and share of positives first
        loss, first = (sum(values) / self.accumulation for values in zip(*parts, strict=True))
        check_finite("the loss", loss, self.step)
        sum_gradients(self.reranker.parameters())
        norm = self.precision.clip(self.optimizer, self.max_grad_norm)
        self.precision.apply(self.optimizer)
        self.precision.check_progress(self.step, self.nb_iterations)
        self.step += 1
        norm = norm if np.isfinite(norm) else 0.0  # a step that fp16's scaler skipped
        told = {"step": self.step, "loss": loss, "positive_first": first, "lr": rate, "grad_norm": norm}
        return {**told, **self.precision.logged()}

    def _add_gradient(self, batch: int) -> tuple[float, float]:
        """Add the gradient of this process's share of global batch ``batch``.

        The whole batch's loss, and how often the positive scored best.
        """
        draws = self.batches[batch]
        begin, end = own_share(len(draws))
        loss, first = 0.0, 0.0
        for start in range(begin, end, self.micro_batch_size):
            micro = [self._example(draw) for draw in draws[start : min(start + self.micro_batch_size, end)]]
            with self._masks(batch, start, micro), self.precision.autocast():
                scores = self._scores(micro)
            share = len(micro) / len(draws)
            value = self.loss(scores) * share
            self.precision.scaled(value / self.accumulation).backward()
            loss += value.item()
            first += share * (scores.group.argmax(dim=1) == 0).float().mean().item()
        loss, first = summed([loss, first], self.device)
        return loss, first

    def _scores(self, examples: Sequence[Example]) -> Scores:
        texts = [[document.text for document in example.documents] for example in examples]
        group = self.reranker.group_scores([example.query.text for example in examples], texts)  # [B, n]
        return Scores(group, teacher=self._teacher(examples))

    def _teacher(self, examples: Sequence[Example]) -> Tensor | None:
        if not self.examples.has_teacher:
            return None
        return torch.tensor([example.teacher for example in examples], dtype=torch.float32, device=self.device)

    def _example(self, draw: Draw) -> Example:
        return self.examples.example(draw.index, random_stream(self.seed, DOCUMENTS, draw.epoch, draw.index))

    def _masks(self, batch: int, start: int, examples: Sequence[Example]) -> AbstractContextManager[None]:
        """Dropout as a function of the seed, the batch and each row's place in it, however the batch is cut."""
        per_query = self.reranker.rows_for(len(examples[0].documents))
        keys = text_keys(self.seed, batch, 0, start * per_query, len(examples) * per_query)
        return self.masks.drawn(keys, batch, start)

    def _check_continuation(self) -> None:
        """InputError where the checkpoint folder holds a training that this one is not, or a model of others."""
        for folder in (self.last, self.directory / "model"):
            if folder.parent.is_dir():
                recover(folder)
        check_replaceable(self.directory / "model", DESCRIPTION)
        if not self.last.is_dir():
            return
        if self.resume:
            check_same_run(self.last, self.describe)

    def _restore(self) -> None:
        """Continue from the last checkpoint, if there is one and ``resume`` does not say to discard it."""
        if not self.resume:
            on_first_rank(lambda: discard(self.directory))
        if not self.last.is_dir():
            return
        state = load_state(self.last)
        self.reranker.load_state_dict(state["reranker"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.restore(state["scaler"])
        self.step = state["step"]

    def _save(self) -> None:
        """The model for use, then the state to continue from."""
        with whole_folder(self.directory / "model") as folder:
            self.reranker.save_pretrained(folder, extra={"step": self.step})
        state = {
            "reranker": self.reranker.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.state(),
            "step": self.step,
        }
        save_state(self.last, state, self.describe)
