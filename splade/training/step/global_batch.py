"""One optimizer step's gradient over the global batch, whatever the number of processes and micro-batches.

Penalties and in-batch negatives are statistics of the whole batch, so the batch is never cut for the
loss, only for the encoders (gradient caching, arXiv 2101.06983):

1. encode this process's share, part by part; without a graph where there are several;
2. gather the vectors of all processes; they are the leaves of the objective;
3. take the objective on the whole batch, and its gradient with respect to the vectors;
4. encode each part again with a graph (not where there is only one: its graph was kept) and send its rows of that
   gradient back into the parameters; sum the parameters' gradients over processes, once.

Dropout masks are a function of the seed, the number of the global batch, the side, the text's number in the batch and
the place in the text: the second encoding meets those of the first, any cut those of any other.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splade.models.heads.second_pass import Memory
from splade.records import SIDES, Example
from splade.training.distributed.processes import gather_rows
from splade.training.distributed.sharding import Sharded
from splade.training.step.answers import answers_of
from splade.training.step.batch_share import Cut, Part, Share, encode_part, in_one_order, make_share
from splade.training.step.dropout_masks import Masks
from splade.training.step.objective import Objective, Outcome


class GlobalStep:
    """Adds one global batch's gradient to the parameters of ``model``.

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
        for name, bound in (("micro_batch_size", micro_batch_size), ("micro_batch_tokens", micro_batch_tokens)):
            if bound is not None and bound < 1:
                raise ValueError(f"{name} must be at least 1, got {bound}")
        self.model, self.objective, self.seed, self.device = model, objective, seed, device
        self.sides = objective.sides
        self.sharded = sharded
        self.cut, self.autocast, self.masks = Cut(micro_batch_size, micro_batch_tokens), autocast, Masks(seed, device)

    def of(self, model: nn.Module) -> "GlobalStep":
        """The same step of another ``model`` of the same kind."""
        other = copy.copy(self)
        other.model, other.sharded = model, None
        return other

    def share(self, examples: Sequence[Example], first: int = 0) -> Share:
        """The tokens of this process's ``examples``, the first of which is number ``first`` of the global batch."""
        return make_share(self.model, examples, first, self.cut, self.device, self.sides)

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
        if self.sharded is not None:
            share = share._replace(parts=in_one_order(share.parts))
        only_one = len(share.parts) == 1
        known = [Memory() for _ in share.parts]
        encoded = []
        for part, memory in zip(share.parts, known, strict=True):
            with torch.set_grad_enabled(only_one), nullcontext() if only_one else memory.filled():
                encoded.append(self._encode(share, part, batch))
        mine = {side: _in_order(side, share.parts, encoded) for side in self.sides}
        leaves = {side: gather_rows(mine[side]).requires_grad_() for side in self.sides}  # [B, V] and [B * n, V]
        outcome = self._outcome(leaves, share, step)
        self.objective.observe(leaves)
        if outcome.total.requires_grad:
            scaled(outcome.total).backward()
        gradients = {side: _own_part(leaves[side], share.first_text(side), len(mine[side])) for side in self.sides}
        self._send_back(share, batch, gradients, encoded[0] if only_one else None, known)
        return outcome._replace(total=outcome.total.detach())

    @torch.no_grad()
    def evaluate(self, share: Share, step: int) -> Outcome:
        """The objective of one batch of this process alone, without dropout or gradients."""
        was_training = self.model.training
        self.model.eval()
        try:
            encoded = [self._encode(share, part, batch=0) for part in share.parts]
        finally:
            self.model.train(was_training)
        return self._outcome({side: _in_order(side, share.parts, encoded) for side in self.sides}, share, step, False)

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
                    vectors = self._encode(share, wanted, batch)
            live = [side for side in vectors if vectors[side].requires_grad]
            trained = [side for side in trained if side in live or side not in vectors]  # no parameters, no second time
            if live:
                if self.sharded is not None:
                    self.sharded.keep_for(
                        {side for later in share.parts[number + 1 :] for side in later if len(later[side])}
                    )
                rows = {side: gradients[side][torch.from_numpy(part[side]).to(self.device)] * factor for side in live}
                apart = self.sharded is not None and self.sharded.apart
                for sides in [[side] for side in live] if apart else [live]:
                    torch.autograd.backward([vectors[side] for side in sides], [rows[side] for side in sides])

    def _outcome(self, vectors: dict[str, Tensor], share: Share, step: int, everywhere: bool = True) -> Outcome:
        def of_batch(rows: Tensor) -> Tensor:
            rows = rows.to(self.device)
            return gather_rows(rows) if everywhere else rows

        teacher = None if share.teacher is None else of_batch(share.teacher)
        known: dict[str, Tensor] = {}
        if self.objective.masks_answers or self.objective.loss.needs_document_keys:
            known["document_keys"] = of_batch(share.document_keys)
        if self.objective.masks_answers:
            keys = share.answers.after(share.first if everywhere else 0)
            queries, numbers, judged = map(of_batch, keys)
            known["answers"] = answers_of(queries, numbers, judged, known["document_keys"])
        documents = vectors["document"].unflatten(0, (-1, share.n_documents))
        return self.objective(vectors["query"], documents, teacher, step, **known)

    def _encode(self, share: Share, part: Part, batch: int) -> dict[str, Tensor]:
        """Vectors [., V] in float32 of the texts of ``part``; of sides with none there are none."""
        inputs, keys, first = {}, [], []
        for side, rows in part.items():
            if len(rows):
                tokens = share.tokens[side]
                ids, mask = trimmed(rows, tokens.attention_mask, self.device, tokens.input_ids, tokens.attention_mask)
                inputs[side] = (ids, mask)
                keys.append(share.keys(self.seed, batch, side)[torch.from_numpy(rows)])
                first.append(SIDES.index(side) << 32 | share.first_text(side) + int(rows[0]))
        with self.autocast(), self.masks.drawn(torch.cat(keys), batch, *first):
            return {side: vectors.float() for side, vectors in encode_part(self.model, inputs).items()}


def trimmed(
    rows: NDArray[np.int64], mask: NDArray[np.int64], device: torch.device, *parts: NDArray[Any]
) -> list[Tensor]:
    """These ``rows`` of ``parts`` [., L] on ``device``, without the columns that are padding in all of them."""
    width = max(int(mask[rows].sum(axis=1).max()), 1)  # padded on the right
    return [torch.from_numpy(part[rows, :width]).to(device) for part in parts]


def _in_order(side: str, parts: Sequence[Part], encoded: Sequence[dict[str, Tensor]]) -> Tensor:
    """The vectors of a side, part by part, as one tensor in the order of the texts, without a graph."""
    rows = torch.cat([torch.from_numpy(part[side]) for part in parts])
    vectors = torch.cat([each[side].detach() for each in encoded if side in each])
    return vectors if len(parts) == 1 else vectors.index_select(0, rows.argsort().to(vectors.device))


def _own_part(leaf: Tensor, first: int, length: int) -> Tensor:
    """The gradient of this process's rows of gathered vectors."""
    gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return gradient.narrow(0, first, length)
