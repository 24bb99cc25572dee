"""One optimizer step's gradient over the global batch, whatever the number of processes and micro-batches.

Penalties and in-batch negatives are statistics of the whole batch, so the batch is never cut for the
loss, only for the encoders (gradient caching, arXiv 2101.06983):

1. encode this process's share, micro-batch by micro-batch; without a graph where there are several;
2. gather the vectors of all processes; they are the leaves of the objective;
3. take the objective on the whole batch, and its gradient with respect to the vectors;
4. encode each micro-batch again with a graph (not where there is only one: its graph was kept) and send
   its part of that gradient back into the parameters; sum the parameters' gradients over processes.

Random numbers (dropout) of a micro-batch are a function of the seed, the batch number, its place in the
global batch and the side, so the second encoding meets the masks of the first, and a resumed run those of an
uninterrupted one. Another cut draws other masks: with dropout, which masks are drawn is all that tells the difference.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from splade.data.tokenize import tokenize
from splade.files import InputError
from splade.records import Example, Text, TokenBatch
from splade.training.objective import Objective, Outcome
from splade.training.processes import gather_rows, world
from splade.training.sampling import DROPOUT, random_stream

SIDES = ("query", "document")


def has_dropout(model: nn.Module) -> bool:
    """Whether a part of ``model`` may draw masks: a dropout layer, or a rate of its own for a function that does."""
    return any(
        "drop" in name.lower() and isinstance(value, float) and value > 0
        for module in model.modules()
        for name, value in ({"dropout": module.p} if isinstance(module, _DropoutNd) else vars(module)).items()
    )


class MicroBatch(NamedTuple):
    """Tokens of ``m`` examples: m queries, and ``m * n`` documents example by example."""

    place: int  # of its first example in the global batch
    tokens: dict[str, TokenBatch]


class Share(NamedTuple):
    """This process's part of a global batch: ``m * n`` documents and their teacher scores."""

    micro_batches: list[MicroBatch]
    n_documents: int
    teacher: Tensor | None  # [examples of this process, n]


class GlobalStep:
    """Adds one global batch's gradient to the parameters of ``model``.

    ``micro_batch_size`` examples are encoded at once with a graph; it bounds memory and never changes the
    arithmetic but for which dropout masks are drawn. None encodes the whole share of this process at once.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        *,
        seed: int,
        micro_batch_size: int | None = None,
        autocast: Callable[[], AbstractContextManager[object]],
        device: torch.device,
    ) -> None:
        if micro_batch_size is not None and micro_batch_size < 1:
            raise ValueError(f"micro_batch_size must be at least 1, got {micro_batch_size}")
        self.model, self.objective, self.seed, self.device = model, objective, seed, device
        self.micro_batch_size, self.autocast = micro_batch_size, autocast

    def share(self, examples: Sequence[Example]) -> Share:
        """The tokens of this process's ``examples``, which every process has the same number of."""
        n_documents = len(examples[0].documents)
        for example in examples:
            if len(example.documents) != n_documents:
                raise InputError(
                    f"query {example.query.id!r} comes with {len(example.documents)} documents, query "
                    f"{examples[0].query.id!r} with {n_documents}: every example needs the same number"
                )
        first = world()[0] * len(examples)
        size = self.micro_batch_size or len(examples)
        micro_batches = [
            MicroBatch(first + start, self._tokens(examples[start : start + size]))
            for start in range(0, len(examples), size)
        ]
        return Share(micro_batches, n_documents, self._teacher(examples))

    def backward(
        self,
        share: Share,
        batch: int,
        step: int,
        scaled: Callable[[Tensor], Tensor] = lambda total: total,
    ) -> Outcome:
        """Add the gradient of the objective of global batch ``batch`` at optimizer step ``step``.

        ``scaled`` is applied to the total before gradients are taken. Gradients are this process's part:
        the sum over processes is the whole.
        """
        only_one = len(share.micro_batches) == 1
        with torch.set_grad_enabled(only_one):
            encoded = [self._encode(micro, batch) for micro in share.micro_batches]
        mine = [torch.cat([vectors[side].detach() for vectors in encoded]) for side in SIDES]
        leaves = [gather_rows(vectors).requires_grad_() for vectors in mine]  # [B, V] and [B * n, V]
        outcome = self._outcome(leaves, share, step)
        if outcome.total.requires_grad:
            scaled(outcome.total).backward()
        gradients = {side: self._own_part(leaf, len(own)) for side, leaf, own in zip(SIDES, leaves, mine, strict=True)}
        trained = {side: True for side in SIDES}
        offsets = dict.fromkeys(SIDES, 0)
        for number, micro in enumerate(share.micro_batches):
            sides = [side for side in SIDES if trained[side]]
            vectors = encoded[number] if only_one else self._encode(micro, batch, sides)
            for side in sides:
                trained[side] = vectors[side].requires_grad  # a side without parameters is not encoded again
            live = [side for side in sides if trained[side]]
            parts = [gradients[side].narrow(0, offsets[side], len(vectors[side])) for side in live]
            if live:
                torch.autograd.backward([vectors[side] for side in live], parts)
            for side in live:
                offsets[side] += len(vectors[side])
        return outcome._replace(total=outcome.total.detach())

    @torch.no_grad()
    def evaluate(self, share: Share, step: int) -> Outcome:
        """The objective of one batch of this process alone, without dropout or gradients."""
        was_training = self.model.training
        self.model.eval()
        try:
            encoded = [self._encode(micro, batch=0) for micro in share.micro_batches]
        finally:
            self.model.train(was_training)
        return self._outcome([torch.cat([vectors[side] for vectors in encoded]) for side in SIDES], share, step, False)

    def _outcome(self, vectors: list[Tensor], share: Share, step: int, everywhere: bool = True) -> Outcome:
        queries, documents = vectors
        teacher = share.teacher
        if teacher is not None and everywhere:
            teacher = gather_rows(teacher)
        return self.objective(queries, documents.unflatten(0, (-1, share.n_documents)), teacher, step)

    def _own_part(self, leaf: Tensor, length: int) -> Tensor:
        """The gradient of this process's rows of gathered vectors."""
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return gradient.narrow(0, world()[0] * length, length)

    def _encode(self, micro: MicroBatch, batch: int, sides: Sequence[str] = SIDES) -> dict[str, Tensor]:
        """Vectors [m, V] of the queries and [m * n, V] of the documents, in float32."""
        vectors = {}
        for side in sides:
            tokens = micro.tokens[side]
            input_ids = torch.from_numpy(tokens.input_ids).to(self.device)
            mask = torch.from_numpy(tokens.attention_mask).to(self.device)
            with self.autocast(), self._replayed(batch, micro.place, SIDES.index(side)):
                vectors[side] = self.model(side, input_ids, mask).float()
        return vectors

    @contextmanager
    def _replayed(self, *place: int) -> Iterator[None]:
        """Torch's random numbers as a function of the seed and ``place``; afterwards they go on as before."""
        number = int(random_stream(self.seed, DROPOUT, *place).integers(2**62))
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(number)
            yield

    def _tokens(self, examples: Sequence[Example]) -> dict[str, TokenBatch]:
        texts: dict[str, list[Text]] = {
            "query": [example.query for example in examples],
            "document": [document for example in examples for document in example.documents],
        }
        model: Any = self.model
        return {
            side: tokenize(model.tokenizer(side), texts[side], model.max_length(side), model.prompt(side))
            for side in SIDES
        }

    def _teacher(self, examples: Sequence[Example]) -> Tensor | None:
        scores = [example.teacher for example in examples if example.teacher is not None]
        if not scores:
            return None
        if len(scores) < len(examples):
            raise InputError(f"{len(examples) - len(scores)} of {len(examples)} examples have no teacher scores")
        return torch.from_numpy(np.asarray(scores, np.float32)).to(self.device)
