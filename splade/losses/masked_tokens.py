"""The loss of a masked language model: one of tokens, not of scores."""

import torch
from torch import Tensor
from torch.nn import functional as F

from splade.losses.scores import Needs


class MaskedLanguageModel(Needs):
    """Cross-entropy of the tokens that are hidden from the model, each with ``probability`` (BERT, arXiv 1810.04805).

    The mean over the hidden tokens of the whole global batch: every token counts the same however the batch is cut.
    """

    takes = ("probability",)
    of_tokens = True
    min_documents = 1

    def __init__(self, probability: float = 0.15) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"config.mlm_probability must be above 0 and below 1, got {probability!r}")
        self.probability = probability

    def __call__(self, logits: Tensor, tokens: Tensor, n_hidden: int) -> Tensor:
        """The part that ``logits`` [M, V] of the hidden ``tokens`` [M] have in the mean over ``n_hidden`` of them.

        A float32 scalar; 0 where there are none.
        """
        with torch.autocast(logits.device.type, enabled=False):
            return F.cross_entropy(logits.float(), tokens, reduction="sum") / max(n_hidden, 1)
