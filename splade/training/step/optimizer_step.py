"""One optimizer step, from top to bottom: its global batches, their vectors, the objective, the gradient, the update.

Penalties and in-batch negatives are statistics of the whole batch, so the batch is never cut for the
loss, only for the encoders (gradient caching, arXiv 2101.06983):

1. encode this process's share, part by part; without a graph where there are several;
2. gather the vectors of all processes; they are the leaves of the objective;
3. take the objective on the whole batch, and its gradient with respect to the vectors;
4. encode each part again with a graph (not where there is only one: its graph was kept) and send its rows of that
   gradient back into the parameters; sum the parameters' gradients over processes, once.

Dropout masks are a function of the seed, the global batch's number, the side, the text's number in the batch and the
place in the text. So both encodings of a text have the same masks, however the batch is cut.
"""

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from splade.data.examples.examples import ExampleSource
from splade.models.heads.second_pass import Memory
from splade.records import Example
from splade.training.distributed.processes import gather_rows, own_share, sum_gradients
from splade.training.distributed.sharding import Sharded
from splade.training.step.answers import answers_of
from splade.training.step.batch_share import Cut, Share, in_one_order, make_share
from splade.training.step.masked_tokens import MaskedTokens
from splade.training.step.objective import DocumentObjective, Objective, Outcome
from splade.training.step.optimizer import check_finite, learning_rate_factor, set_learning_rates
from splade.training.step.sampling import DOCUMENTS, GlobalBatches, random_stream
from splade.training.step.settings import TrainingSettings
from splade.training.step.share_encoder import ShareEncoder, in_text_order
from splade.training.step.trained_parts import TrainedParts
from splade.training.step.window import Window


class OptimizerStep:
    """Optimizer steps of a training: functions of the weights, the optimizer's state and the step's number.

    ``whole`` is false from where ``take`` changes the weights until the caller has counted the step.
    """

    def __init__(
        self, parts: TrainedParts, examples: ExampleSource, batches: GlobalBatches, settings: TrainingSettings
    ) -> None:
        self.parts, self.examples, self.batches, self.settings = parts, examples, batches, settings
        self.gradient = GlobalBatchGradient(
            parts.model,
            parts.objective,
            seed=settings.seed,
            micro_batch_size=settings.micro_batch_size,
            micro_batch_tokens=settings.micro_batch_tokens,
            autocast=parts.precision.autocast,
            device=parts.device,
            sharded=parts.sharded,
        )
        self.whole = True

    def take(self, step: int) -> dict[str, float]:
        """Do optimizer step ``step`` (from 0); its figures for the log. InputError where training diverges."""
        parts, settings, observed = self.parts, self.settings, Window()
        factor = learning_rate_factor(step, settings.warmup_steps, settings.nb_iterations)
        set_learning_rates(parts.optimizer, parts.rates, factor)
        parts.start_step()
        first = step * settings.gradient_accumulation_steps
        for batch in range(first, first + settings.gradient_accumulation_steps):
            observed.add(self.add_gradient(batch, step))
        sum_gradients(parameter for parameter in parts.model.parameters() if parameter.requires_grad)
        norm = parts.precision.clip(parts.optimizer, settings.max_grad_norm)
        if not parts.precision.scaler.is_enabled():  # the scaler skips steps of infinite gradients itself
            check_finite("the norm of the gradients", norm, step)
        self.whole = False
        taken = parts.precision.apply(parts.optimizer)
        parts.precision.check_progress(step, settings.nb_iterations)
        if taken:
            parts.learn(step)
        told = {"lr": settings.lr * factor, "grad_norm": norm if math.isfinite(norm) else 0.0}
        return {**observed.means(), **told, **parts.precision.logged()}

    def add_gradient(self, batch: int, step: int) -> dict[str, float]:
        """Add the gradient of global batch ``batch``, averaged over those of the step; its figures for the log."""
        precision, accumulated = self.parts.precision, self.settings.gradient_accumulation_steps
        first, examples = self.own_examples(batch)
        share = self.gradient.share(examples, first)
        outcome = self.gradient.backward(share, batch, step, lambda total: precision.scaled(total) / accumulated)
        check_finite("the loss", outcome.logged["total"], step)
        return outcome.logged

    def own_examples(self, batch: int) -> tuple[int, list[Example]]:
        """This process's examples of global batch ``batch``, and the number of the first of them in it."""
        draws, seed = self.batches[batch], self.settings.seed
        first, end = own_share(len(draws))
        return first, [
            self.examples.example(draw.index, random_stream(seed, DOCUMENTS, draw.epoch, draw.index))
            for draw in draws[first:end]
        ]

    def on_one_rank(self) -> tuple[Any, "GlobalBatchGradient"]:
        """Called by all ranks: the model and its gradient that the first one may use alone."""
        model = self.parts.whole_model()
        return model, self.gradient.of(model)


class GlobalBatchGradient:
    """Adds one global batch's gradient to the parameters of ``model``, for any number of processes and micro-batches.

    At most ``micro_batch_size`` examples and ``micro_batch_tokens`` tokens, padding counted, are encoded at once
    with a graph; None: any number. They bound memory and never change the arithmetic.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        *,
        seed: int,
        micro_batch_size: int | None = None,
        micro_batch_tokens: int | None = None,
        autocast: Callable[[], AbstractContextManager[object]],
        device: torch.device,
        sharded: Sharded | None = None,
    ) -> None:
        self.objective, self.sides, self.sharded, self.device = objective, objective.sides, sharded, device
        self.cut = Cut(micro_batch_size, micro_batch_tokens).checked()
        self.encode = ShareEncoder(model, seed, autocast, device)
        self.masked_tokens = MaskedTokens(model, objective.loss) if isinstance(objective, DocumentObjective) else None

    def of(self, model: nn.Module) -> "GlobalBatchGradient":
        """The same of another ``model`` of the same kind, which is whole on this process."""
        other = copy.copy(self)
        other.encode, other.sharded = self.encode.of(model), None
        return other

    def share(self, examples: Sequence[Example], first: int = 0) -> Share:
        """The tokens of this process's ``examples``, the first of which is number ``first`` of the global batch."""
        return make_share(self.encode.model, examples, first, self.cut, self.device, self.sides)

    def backward(
        self, share: Share, batch: int, step: int, scaled: Callable[[Tensor], Tensor] = lambda total: total
    ) -> Outcome:
        """Add the gradient of the objective of global batch ``batch`` at optimizer step ``step``.

        ``scaled`` is applied to the total before gradients are taken. Gradients are this process's part:
        the sum over processes is the whole.
        """
        loss = None
        if self.masked_tokens is not None:  # the loss of mid-training goes backward by itself
            loss = self.masked_tokens.backward(share, batch, scaled, self.encode, self.sharded)
        if self.sharded is not None:
            share = share._replace(parts=in_one_order(share.parts))
        known = [Memory() for _ in share.parts]
        encoded = self._encode_first(share, batch, known)
        own = {side: in_text_order(side, share.parts, encoded) for side in self.sides}
        vectors = {side: gather_rows(own[side]).requires_grad_() for side in self.sides}  # [B, V] and [B * n, V]
        outcome = self._objective(vectors, share, step)  # loss(scores) + Σ penalty.weight(step) · penalty(vectors)
        self.objective.observe(vectors)
        if outcome.total.requires_grad:
            scaled(outcome.total).backward()
        gradients = {side: _own_rows(vectors[side], share.first_text(side), len(own[side])) for side in self.sides}
        self._send_back(share, batch, gradients, encoded[0] if len(share.parts) == 1 else None, known)
        return outcome._replace(total=outcome.total.detach()).plus(loss)

    @torch.no_grad()
    def evaluate(self, share: Share, step: int) -> Outcome:
        """The objective of one batch of this process alone, without dropout or gradients."""
        with self.encode.without_dropout():
            loss = None if self.masked_tokens is None else self.masked_tokens.evaluate(share, self.encode)
            encoded = [self.encode(share, part, batch=0) for part in share.parts]
        vectors = {side: in_text_order(side, share.parts, encoded) for side in self.sides}
        return self._objective(vectors, share, step, everywhere=False).plus(loss)

    def _encode_first(self, share: Share, batch: int, known: Sequence[Memory]) -> list[dict[str, Tensor]]:
        """The vectors of each part; with a graph where there is one part, else remembered for the second encoding."""
        only_one, encoded = len(share.parts) == 1, []
        for part, memory in zip(share.parts, known, strict=True):
            with torch.set_grad_enabled(only_one), nullcontext() if only_one else memory.filled():
                encoded.append(self.encode(share, part, batch))
        return encoded

    def _objective(self, vectors: dict[str, Tensor], share: Share, step: int, everywhere: bool = True) -> Outcome:
        """The objective of the batch's ``vectors``; ``everywhere``: they are those of all processes."""

        def of_batch(rows: Tensor) -> Tensor:
            rows = rows.to(self.device)
            return gather_rows(rows) if everywhere else rows

        documents = vectors["document"].unflatten(0, (-1, share.n_documents))
        if isinstance(self.objective, DocumentObjective):
            return self.objective.of_documents(documents, step)
        teacher = None if share.teacher is None else of_batch(share.teacher)
        known: dict[str, Tensor] = {}
        if self.objective.masks_answers or self.objective.loss.needs_document_keys:
            known["document_keys"] = of_batch(share.document_keys)
        if self.objective.masks_answers:
            keys = share.answers.after(share.first if everywhere else 0)
            queries, numbers, judged = map(of_batch, keys)
            known["answers"] = answers_of(queries, numbers, judged, known["document_keys"])
        return self.objective(vectors["query"], documents, teacher, step, **known)

    def _send_back(
        self,
        share: Share,
        batch: int,
        gradients: dict[str, Tensor],
        encoded: dict[str, Tensor] | None,
        known: Sequence[Memory],
    ) -> None:
        """Send ``gradients`` of the share's vectors back into the parameters, through ``encoded`` or a new encoding."""
        trained = list(self.sides)
        factor = 1 if self.sharded is None else self.sharded.factor  # it takes means over processes, not sums
        for number, part in enumerate(share.parts):
            wanted = {side: rows for side, rows in part.items() if side in trained and len(rows)}
            vectors = encoded or {}
            if wanted and not encoded:
                with known[number].used() if len(trained) == len(self.sides) else nullcontext():
                    vectors = self.encode(share, wanted, batch)
            live = [side for side in vectors if vectors[side].requires_grad]
            trained = [side for side in trained if side in live or side not in vectors]  # no parameters, no second time
            if live:
                rows = {side: gradients[side][torch.from_numpy(part[side]).to(self.device)] * factor for side in live}
                if self.sharded is not None:
                    self.sharded.keep_for(
                        {side for later in share.parts[number + 1 :] for side in later if len(later[side])}
                    )
                apart = self.sharded is not None and self.sharded.apart
                for sides in [[side] for side in live] if apart else [live]:
                    torch.autograd.backward([vectors[side] for side in sides], [rows[side] for side in sides])


def _own_rows(vectors: Tensor, first: int, length: int) -> Tensor:
    """The gradient of this process's rows of gathered ``vectors``."""
    gradient = torch.zeros_like(vectors) if vectors.grad is None else vectors.grad
    return gradient.narrow(0, first, length)
