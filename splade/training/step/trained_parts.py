"""The parts that an optimizer step changes: weights, optimizer, loss scale, averages, what penalties have learnt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from splade.losses import Loss, MaskedLanguageModel
from splade.models import DenseRetriever, Retriever
from splade.regularization.penalties import Penalty
from splade.training.distributed.gradient_checkpointing import checkpoint_activations
from splade.training.distributed.processes import same_start
from splade.training.distributed.sharding import Sharded, spread, spread_optimizer, whole
from splade.training.step.objective import DocumentObjective, Objective
from splade.training.step.optimizer import Precision, adamw, learning_rates
from splade.training.step.settings import TrainingSettings
from splade.training.step.weight_average import WeightAverage


class TrainedParts:
    """``model`` on its device, the same on every process, with the objective and the optimizer that train it."""

    def __init__(
        self,
        model: Retriever,
        loss: Loss | MaskedLanguageModel,
        penalties: Sequence[Penalty],
        settings: TrainingSettings,
        device: torch.device,
    ) -> None:
        self.model, self.device = model.to(device), device
        if settings.gradient_checkpointing:
            checkpoint_activations(model)
        same_start(model)
        self.sharded = Sharded(model, device) if settings.fsdp else None
        self.precision = Precision(device, fp16=settings.fp16, bf16=settings.bf16, scaled=not settings.fsdp)
        self.optimizer = adamw(model, settings.lr, settings.weight_decay, settings.lr_query_table)
        self.rates = learning_rates(self.optimizer)
        objective: Any = DocumentObjective if loss.of_tokens else Objective
        self.objective: Objective = objective(
            loss,
            penalties,
            in_batch=settings.in_batch_negatives or loss.needs_in_batch,
            penalty_documents=settings.penalty_documents,
            sparse=not isinstance(model, DenseRetriever),
            teacher_temperature=settings.teacher_temperature,
            mask_answers=settings.mask_answers,
        )
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None

    def start_step(self) -> None:
        """Training mode, no gradients, and penalties that have seen no vectors of this step."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        for _, learner in self.objective.adaptive().values():
            learner.forget()

    def learn(self, step: int) -> None:
        """Have penalties and the average learn from step ``step``, which changed the weights."""
        for _, learner in self.objective.adaptive().values():
            learner.settle(step)
        if self.average is not None:
            self.average.update(step)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside the block the model has its averaged weights, where an average is kept; entered by all ranks."""
        return nullcontext() if self.average is None else self.average.in_place()

    def whole_model(self) -> Any:
        """Called by all ranks: a model of the present weights that the first one may use alone."""
        return self.model if self.sharded is None else self.sharded.whole_model()

    @contextmanager
    def on_device(self, model: Any) -> Iterator[None]:
        """Inside the block a model of ``whole_model`` is on the device of the training; one of its own goes back."""
        if model is not self.model:
            model.to(self.device)
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
