"""One optimizer step: its global batches, their gradients, the update of the weights."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from splade.data.examples.examples import ExampleSource
from splade.files import InputError
from splade.losses import Loss, MaskedLanguageModel
from splade.models import Retriever
from splade.records import Example
from splade.regularization.penalties import Penalty
from splade.training.distributed.gradient_checkpointing import checkpoint_activations
from splade.training.distributed.processes import own_share, same_start, sum_gradients
from splade.training.distributed.sharding import Sharded, spread, spread_optimizer, whole
from splade.training.step.global_batch import GlobalStep
from splade.training.step.masked_tokens import MaskedTokenStep
from splade.training.step.objective import DocumentObjective, Objective
from splade.training.step.optimizer import (
    Precision,
    adamw,
    learning_rate_factor,
    learning_rates,
    set_learning_rates,
)
from splade.training.step.sampling import DOCUMENTS, GlobalBatches, random_stream
from splade.training.step.settings import TrainingSettings
from splade.training.step.weight_average import WeightAverage
from splade.training.step.window import Window

KINDS: dict[str, tuple[Callable[..., Objective], Callable[..., GlobalStep]]] = {
    "scores": (Objective, GlobalStep),
    "tokens": (DocumentObjective, MaskedTokenStep),
}
"""What a loss is of, and what takes it."""


class Updates:
    """Optimizer steps of ``model``: functions of the weights, the optimizer's state and the step's number.

    ``whole`` is false from where ``take`` changes the weights until the caller has counted the step.
    """

    def __init__(
        self,
        model: Retriever,
        loss: Loss | MaskedLanguageModel,
        penalties: Sequence[Penalty],
        examples: ExampleSource,
        batches: GlobalBatches,
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self.model, self.examples, self.batches, self.settings = model.to(device), examples, batches, settings
        if settings.gradient_checkpointing:
            checkpoint_activations(model)
        same_start(model)
        self.sharded = Sharded(model, device) if settings.fsdp else None
        self.precision = Precision(device, fp16=settings.fp16, bf16=settings.bf16, scaled=not settings.fsdp)
        self.optimizer = adamw(model, settings.lr, settings.weight_decay, settings.lr_query_table)
        self.rates = learning_rates(self.optimizer)
        objective, step = KINDS["tokens" if loss.of_tokens else "scores"]
        self.objective = objective(
            loss,
            penalties,
            in_batch=settings.in_batch_negatives or loss.needs_in_batch,
            penalty_documents=settings.penalty_documents,
            sparse=getattr(model, "is_sparse", True),
            teacher_temperature=settings.teacher_temperature,
            mask_answers=settings.mask_answers,
        )
        self.global_step = step(
            model,
            self.objective,
            seed=settings.seed,
            micro_batch_size=settings.micro_batch_size,
            micro_batch_tokens=settings.micro_batch_tokens,
            autocast=self.precision.autocast,
            device=device,
            sharded=self.sharded,
        )
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.whole = True

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the block the model has its averaged weights, where an average is kept; entered by all ranks."""
        return nullcontext() if self.average is None else self.average.in_place()

    def on_one_rank(self) -> tuple[Any, GlobalStep]:
        """Called by all ranks: model and step that the first one may use alone."""
        if self.sharded is None:
            return self.model, self.global_step
        model = self.sharded.whole_model()
        return model, self.global_step.of(model)

    @contextmanager
    def on_device(self, model: Any) -> Iterator[None]:
        """Inside the block a model of ``on_one_rank`` is on the device of the training; one of its own goes back."""
        if model is not self.model:
            model.to(self.global_step.device)
        try:
            yield
        finally:
            if model is not self.model:
                model.cpu()

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, loss scale, averages and what penalties have learnt, whole; called by all ranks."""
        return {
            "model": whole(self.model.state_dict()),
            "optimizer": whole(self.optimizer.state_dict()),
            "scaler": self.precision.state(),
            "average": None if self.average is None else self.average.state(),
            "penalties": {name: learner.state() for name, (_, learner) in self.objective.adaptive().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what ``state`` returned; called by all ranks."""
        self.model.load_state_dict(spread(state["model"], self.model.state_dict()))
        self.optimizer.load_state_dict(spread_optimizer(state["optimizer"], self.optimizer))
        self.precision.restore(state["scaler"])
        if self.average is not None:
            self.average.restore(state["average"])
        for name, (_, learner) in self.objective.adaptive().items():
            learner.restore(state["penalties"][name])

    def take(self, step: int) -> dict[str, float]:
        """Do optimizer step ``step`` (from 0); what there is to log of it. InputError where training diverges."""
        settings = self.settings
        factor = learning_rate_factor(step, settings.warmup_steps, settings.nb_iterations)
        set_learning_rates(self.optimizer, self.rates, factor)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        observed = Window()
        for _, learner in self.objective.adaptive().values():
            learner.forget()
        first = step * settings.gradient_accumulation_steps
        for batch in range(first, first + settings.gradient_accumulation_steps):
            observed.add(self._add_gradient(batch, step))
        sum_gradients(parameter for parameter in self.model.parameters() if parameter.requires_grad)
        norm = self.precision.clip(self.optimizer, settings.max_grad_norm)
        if not self.precision.scaler.is_enabled():  # the scaler skips steps of infinite gradients itself
            check_finite("the norm of the gradients", norm, step)
        self.whole = False
        taken = self.precision.apply(self.optimizer)
        self.precision.check_progress(step, settings.nb_iterations)
        if taken:
            self._learn(step)
        told = {"lr": settings.lr * factor, "grad_norm": norm if math.isfinite(norm) else 0.0}
        return {**observed.means(), **told, **self.precision.logged()}

    def _learn(self, step: int) -> None:
        """Have penalties and the average learn from a step that changed the weights."""
        for _, learner in self.objective.adaptive().values():
            learner.settle(step)
        if self.average is not None:
            self.average.update(step)

    def _add_gradient(self, batch: int, step: int) -> dict[str, float]:
        """Add the gradient of global batch ``batch``, averaged over those of the step."""
        accumulated = self.settings.gradient_accumulation_steps
        first, examples = self.own_examples(batch)
        share = self.global_step.share(examples, first)
        outcome = self.global_step.backward(
            share, batch, step, lambda total: self.precision.scaled(total) / accumulated
        )
        check_finite("the loss", outcome.logged["total"], step)
        return outcome.logged

    def own_examples(self, batch: int) -> tuple[int, list[Example]]:
        """This process's examples of global batch ``batch``, and the number of the first of them in it."""
        draws = self.batches[batch]
        first, end = own_share(len(draws))
        return first, [
            self.examples.example(draw.index, random_stream(self.settings.seed, DOCUMENTS, draw.epoch, draw.index))
            for draw in draws[first:end]
        ]


def check_finite(what: str, value: float, step: int) -> None:
    """InputError where ``what`` of step ``step`` (from 0) is not a number, with what to do about it."""
    if not math.isfinite(value):
        raise InputError(
            f"{what} is {value} at step {step + 1}: training diverged. Lower config.lr, lengthen config.warmup_steps, "
            "clip the gradients (config.max_grad_norm) or do without fp16, in another config.checkpoint_dir or with "
            "config.resume=false, which discards this training; the last checkpoint is untouched"
        )
