"""The loss of hidden tokens, worked by hand."""

from math import log

import pytest
import torch

from splade.losses import MaskedLanguageModel

# odds 3 : 1 : 1 : 1 for the first of four terms: it holds 1/2 of the softmax, each other one 1/6
HALF = [log(3.0), 0.0, 0.0, 0.0]


def test_the_loss_is_the_mean_of_what_the_tokens_looked_for_were_given():
    value = MaskedLanguageModel()(torch.tensor([HALF, HALF, [0.0] * 4]), torch.tensor([0, 2, 3]), 3)
    assert value.item() == pytest.approx((log(2) + log(6) + log(4)) / 3)


def test_parts_of_a_batch_add_up_to_its_mean_and_a_part_without_hidden_tokens_is_nothing():
    loss, logits, tokens = MaskedLanguageModel(), torch.tensor([HALF, HALF, HALF]), torch.tensor([0, 1, 1])
    parts = [loss(logits[rows], tokens[rows], 3) for rows in (slice(0, 1), slice(1, 3), slice(3, 3))]
    assert sum(parts).item() == pytest.approx((log(2) + 2 * log(6)) / 3)
    assert parts[2].item() == 0.0
    assert loss(logits[:0], tokens[:0], 0).item() == 0.0


def test_half_precision_is_widened():
    value = MaskedLanguageModel()(torch.tensor([HALF], dtype=torch.bfloat16), torch.tensor([0]), 1)
    assert value.dtype == torch.float32


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1])
def test_a_share_of_tokens_is_between_none_and_all(probability):
    with pytest.raises(ValueError, match=r"config\.mlm_probability must be above 0 and below 1"):
        MaskedLanguageModel(probability)
