"""Mid-training: a masked language model goes on learning on the collection, with penalties on its documents' vectors.

The hidden tokens are found again in one pass, the vectors come from another, of the texts as they are: those are the
vectors that will be indexed, and what is hidden from the model should not decide which terms are penalised
(Lassance and Clinchant, SIGIR 2022, arXiv 2207.03834, have FLOPS in their middle training). Both are of the whole
global batch: the loss is a mean over all its hidden tokens, so each part of it may go backward by itself, and
the penalties go the way that they always go.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splade.data.tokens.masking import Hidden, TokenHiding
from splade.files import InputError
from splade.models.backbones.loading import is_causal_lm
from splade.models.encoders.mlm import MlmEncoder
from splade.records import SIDES
from splade.training.distributed.processes import gather_rows
from splade.training.step.batch_share import Share
from splade.training.step.dropout_masks import text_keys
from splade.training.step.global_batch import GlobalStep, trimmed
from splade.training.step.objective import DocumentObjective, Outcome
from splade.training.step.sampling import HIDING, random_stream

SIDE, ADDRESS = "document", "config.loss=MLM"
PASS = len(SIDES)  # this pass has dropout masks of its own, as if it were a third side


class MaskedTokenStep(GlobalStep):
    """As ``GlobalStep``, with the loss of a masked language model in place of one of scores.

    InputError where the model is not one masked language model for both sides.
    """

    objective: DocumentObjective

    def __init__(self, model: nn.Module, objective: DocumentObjective, **settings: Any) -> None:
        check_masked_language_model(model)
        super().__init__(model, objective, **settings)
        tokenizer: Any = model.tokenizer(SIDE)  # type: ignore[operator]
        self.hiding = TokenHiding(tokenizer, objective.loss.probability)

    def backward(
        self, share: Share, batch: int, step: int, scaled: Callable[[Tensor], Tensor] = lambda total: total
    ) -> Outcome:
        """As ``GlobalStep.backward``; the gradient of hidden tokens comes first."""
        factor = 1
        if self.sharded is not None:
            factor = self.sharded.factor
            self.sharded.keep_for(SIDES)  # the vectors of the same texts are still to come
        hidden = self._hidden(share, batch)
        n_hidden = int(gather_rows(torch.tensor([hidden.chosen.sum()], device=self.device)).sum())
        loss = torch.zeros(1, device=self.device)
        for part in share.parts:
            value = self._loss(share, hidden, part[SIDE], batch, n_hidden)
            scaled(value * factor).backward()
            loss += value.detach()
        return _with_loss(super().backward(share, batch, step, scaled), gather_rows(loss).sum())

    @torch.no_grad()
    def evaluate(self, share: Share, step: int) -> Outcome:
        """As ``GlobalStep.evaluate``, with the same tokens hidden each time."""
        hidden = self._hidden(share, batch=0)
        n_hidden, was_training = int(hidden.chosen.sum()), self.model.training
        self.model.eval()
        try:
            values = [self._loss(share, hidden, part[SIDE], 0, n_hidden) for part in share.parts]
        finally:
            self.model.train(was_training)
        return _with_loss(super().evaluate(share, step), torch.stack(values).sum())

    def _outcome(self, vectors: dict[str, Tensor], share: Share, step: int, everywhere: bool = True) -> Outcome:  # noqa: ARG002
        return self.objective.of_documents(vectors[SIDE].unflatten(0, (-1, share.n_documents)), step)

    def _hidden(self, share: Share, batch: int) -> Hidden:
        """Hide tokens of the share's documents: a function of the seed, the batch and the documents' numbers."""
        tokens, first = share.tokens[SIDE], share.first_text(SIDE)
        numbers = range(first, first + len(tokens.ids))
        return self.hiding(tokens, [random_stream(self.seed, HIDING, batch, number) for number in numbers])

    def _loss(self, share: Share, hidden: Hidden, rows: NDArray[np.int64], batch: int, n_hidden: int) -> Tensor:
        """The part of the loss that the hidden tokens of the documents ``rows`` of the share have."""
        tokens, first = share.tokens[SIDE], share.first_text(SIDE)
        parts = (hidden.input_ids, tokens.attention_mask, hidden.chosen, tokens.input_ids)
        shown, mask, chosen, ids = trimmed(rows, tokens.attention_mask, self.device, *parts)  # [b, l] each
        keys = text_keys(self.seed, batch, PASS, first, len(tokens.ids))[torch.from_numpy(rows)]
        encoder: Any = self.model.encoders[SIDE]  # type: ignore[index]
        with self.autocast(), self.masks.drawn(keys, batch, PASS << 32 | first + int(rows[0])):
            logits = encoder.logits_at(shown, mask, chosen)  # [M, V]
        return self.objective.loss(logits, ids[chosen], n_hidden)


def check_masked_language_model(model: Any) -> None:
    """InputError, naming the model, where it has not one masked language model for queries and documents."""
    name, encoder = type(model).__name__, dict(getattr(model, "encoders", nn.ModuleDict()).items()).get(SIDE)
    if not isinstance(encoder, MlmEncoder):
        raise InputError(f"{ADDRESS}: {name} has no masked-language-model head; use config.matching_type=splade")
    if is_causal_lm(encoder.mlm.config) or model.tokenizer(SIDE).mask_token_id is None:
        kind = encoder.mlm.config.model_type
        raise InputError(
            f"{ADDRESS}: a model of type {kind!r} is not one that finds hidden tokens (a decoder, or no mask token); "
            "start from a masked language model (init_dict.model_type_or_dir)"
        )
    if not model.shares_encoder:
        raise InputError(
            f"{ADDRESS}: {name} has a query side of its own here, which would learn nothing; use "
            "config.matching_type=splade without init_dict.model_type_or_dir_q. Any model may start from the result"
        )


def _with_loss(outcome: Outcome, loss: Tensor) -> Outcome:
    """``outcome`` of the penalties with the ``loss`` of the whole batch."""
    logged = {"loss": float(loss), "total": outcome.logged["total"] + float(loss)}
    return Outcome(outcome.total + loss, {**outcome.logged, **logged})
