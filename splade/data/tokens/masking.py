"""Tokens hidden from a masked language model, which predicts them (BERT, arXiv 1810.04805, section 3.1).

A share of the tokens of every text is chosen. 80 % of them become the mask token, 10 % another token drawn from the
vocabulary, and 10 % stay, so that the model must make a state of every token. Special tokens are neither chosen nor
drawn. The choice depends on the text's own random stream and the positions, never on the other texts of the batch.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.records import TokenBatch

AS_MASK, AS_ANOTHER = 0.8, 0.9  # of the chosen tokens: up to here masked, up to here replaced; the others stay


class Hidden(NamedTuple):
    """The token ids of texts that a model is shown, [B, L], and True at the tokens that it is asked for."""

    input_ids: NDArray[np.int64]
    chosen: NDArray[np.bool_]


class TokenHiding:
    """Hides each ordinary token of a text with ``probability``; ``tokenizer`` must have a mask token."""

    def __init__(self, tokenizer: Any, probability: float) -> None:
        self.probability, self.mask_id = probability, int(tokenizer.mask_token_id)
        self._special = np.asarray(sorted(tokenizer.all_special_ids), np.int64)
        self._ordinary = np.setdiff1d(np.arange(len(tokenizer)), self._special)

    def __call__(self, tokens: TokenBatch, streams: Sequence[np.random.Generator]) -> Hidden:
        """``tokens`` with some of them hidden, by a stream for each text."""
        draws = np.ones((*tokens.input_ids.shape, 3))  # whether, how, by which other token
        for row, (length, stream) in enumerate(zip(tokens.attention_mask.sum(axis=1), streams, strict=True)):
            draws[row, :length] = stream.random((int(length), 3))
        whether, how, which = np.moveaxis(draws, 2, 0)
        chosen = (whether < self.probability) & ~np.isin(tokens.input_ids, self._special)
        others = self._ordinary[(which * len(self._ordinary)).astype(np.int64) % len(self._ordinary)]
        shown = np.where(how < AS_MASK, self.mask_id, np.where(how < AS_ANOTHER, others, tokens.input_ids))
        return Hidden(np.where(chosen, shown, tokens.input_ids), chosen)
