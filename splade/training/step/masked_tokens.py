"""Mid-training: a masked language model goes on learning on the collection, with penalties on its documents' vectors.

One pass finds the hidden tokens again. Another pass, over the texts as they are, gives the vectors that are penalised:
those will be indexed, and tokens hidden from the model should not decide which terms are penalised (FLOPS in middle
training: Lassance and Clinchant, SIGIR 2022, arXiv 2207.03834). Both are of the whole global batch. The loss is a mean
over all hidden tokens, so each part of it goes backward by itself; penalties go the way of any training.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splade.data.tokens.masking import Hidden, TokenHiding
from splade.files import InputError
from splade.losses import MaskedLanguageModel
from splade.models.backbones.loading import is_causal_lm
from splade.models.encoders.mlm import MlmEncoder
from splade.records import SIDES
from splade.training.distributed.processes import gather_rows
from splade.training.distributed.sharding import Sharded
from splade.training.step.batch_share import Share
from splade.training.step.dropout_masks import text_keys
from splade.training.step.sampling import HIDING, random_stream
from splade.training.step.share_encoder import ShareEncoder, trimmed

SIDE, ADDRESS = "document", "config.loss=MLM"
PASS = len(SIDES)  # this pass has dropout masks of its own, as if it were a third side


class MaskedTokens:
    """The ``loss`` of the hidden tokens of a global batch's documents, a mean over all of them.

    InputError where ``model`` is not one masked language model for both sides.
    """

    def __init__(self, model: nn.Module, loss: MaskedLanguageModel) -> None:
        check_masked_language_model(model)
        tokenizer: Any = model.tokenizer(SIDE)  # type: ignore[operator]
        self.loss, self.hiding = loss, TokenHiding(tokenizer, loss.probability)

    def backward(
        self,
        share: Share,
        batch: int,
        scaled: Callable[[Tensor], Tensor],
        encode: ShareEncoder,
        sharded: Sharded | None,
    ) -> Tensor:
        """Add the gradient of this process's part of the loss, part by part; the loss of the whole batch."""
        factor = 1
        if sharded is not None:
            factor = sharded.factor
            sharded.keep_for(SIDES)  # the vectors of the same texts are still to come
        hidden = self.hide(share, batch, encode.seed)
        n_hidden = int(gather_rows(torch.tensor([hidden.chosen.sum()], device=encode.device)).sum())
        loss = torch.zeros(1, device=encode.device)
        for part in share.parts:
            value = self._value(share, hidden, part[SIDE], batch, n_hidden, encode)
            scaled(value * factor).backward()
            loss += value.detach()
        return gather_rows(loss).sum()

    def evaluate(self, share: Share, encode: ShareEncoder) -> Tensor:
        """The loss of one batch of this process alone, with the same tokens hidden each time."""
        hidden = self.hide(share, 0, encode.seed)
        n_hidden = int(hidden.chosen.sum())
        return torch.stack([self._value(share, hidden, part[SIDE], 0, n_hidden, encode) for part in share.parts]).sum()

    def hide(self, share: Share, batch: int, seed: int) -> Hidden:
        """Hide tokens of the share's documents: a function of the seed, the batch and the documents' numbers."""
        tokens, first = share.tokens[SIDE], share.first_text(SIDE)
        numbers = range(first, first + len(tokens.ids))
        return self.hiding(tokens, [random_stream(seed, HIDING, batch, number) for number in numbers])

    def _value(
        self, share: Share, hidden: Hidden, rows: NDArray[np.int64], batch: int, n_hidden: int, encode: ShareEncoder
    ) -> Tensor:
        """The part of the loss that the hidden tokens of the documents ``rows`` of the share have."""
        tokens, first = share.tokens[SIDE], share.first_text(SIDE)
        parts = (hidden.input_ids, tokens.attention_mask, hidden.chosen, tokens.input_ids)
        shown, mask, chosen, ids = trimmed(rows, tokens.attention_mask, encode.device, *parts)  # [b, l] each
        keys = text_keys(encode.seed, batch, PASS, first, len(tokens.ids))[torch.from_numpy(rows)]
        encoder: Any = encode.model.encoders[SIDE]  # type: ignore[index]
        with encode.computing(keys, batch, PASS << 32 | first + int(rows[0])):
            logits = encoder.logits_at(shown, mask, chosen)  # [M, V]
        return self.loss(logits, ids[chosen], n_hidden)


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
