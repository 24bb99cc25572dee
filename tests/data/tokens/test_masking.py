"""Which tokens are hidden from a masked language model, and as what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.data.tokens.masking import TokenHiding
from splade.data.tokens.tokenize import tokenize
from splade.records import Text, TokenBatch
from tests.tiny import WORDS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
SPECIAL = set(TOKENIZER.all_special_ids)


def streams(n, first=0):
    return [np.random.default_rng((7, number)) for number in range(first, first + n)]


def words(n, length):
    rng = np.random.default_rng(1)
    texts = [Text(str(row), " ".join(rng.choice(WORDS[:200], length))) for row in range(n)]
    return tokenize(TOKENIZER, texts, 512)


def test_fifteen_in_a_hundred_are_chosen_and_of_these_eight_in_ten_masked_one_replaced_one_left():
    tokens = words(200, 300)
    hidden = TokenHiding(TOKENIZER, 0.15)(tokens, streams(200))
    ordinary = ~np.isin(tokens.input_ids, list(SPECIAL))
    n, m = ordinary.sum(), hidden.chosen.sum()
    assert n > 50_000
    within = 4 * np.sqrt(0.15 * 0.85 / n)  # four standard deviations of a share
    assert m / n == pytest.approx(0.15, abs=within)
    shown, asked = hidden.input_ids[hidden.chosen], tokens.input_ids[hidden.chosen]
    masked, same = shown == TOKENIZER.mask_token_id, shown == asked
    within = 4 * np.sqrt(0.8 * 0.2 / m)
    assert masked.mean() == pytest.approx(0.8, abs=within)
    assert same.mean() == pytest.approx(0.1 + 0.1 / len(TOKENIZER), abs=within)
    others = shown[~masked & ~same]
    assert not set(others.tolist()) & SPECIAL
    assert len(set(others.tolist())) > 0.9 * (len(TOKENIZER) - len(SPECIAL))  # from all of the vocabulary


def test_what_is_not_chosen_is_shown_as_it_is_and_special_tokens_are_never_chosen():
    tokens = words(20, 30)
    hidden = TokenHiding(TOKENIZER, 0.99)(tokens, streams(20))
    assert np.array_equal(hidden.input_ids[~hidden.chosen], tokens.input_ids[~hidden.chosen])
    assert not np.isin(tokens.input_ids[hidden.chosen], list(SPECIAL)).any()
    assert not hidden.chosen[tokens.attention_mask == 0].any()
    assert hidden.chosen.sum() > 0.9 * 20 * 30


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 12))
def test_what_is_hidden_of_a_text_depends_neither_on_its_neighbours_nor_on_padding_nor_on_where_it_is_cut(
    lengths, row, cut
):
    row %= len(lengths)
    hiding, rng = TokenHiding(TOKENIZER, 0.4), np.random.default_rng(2)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    tokens = TokenBatch(tuple(map(str, lengths)), rng.integers(5, 60, mask.shape) * mask, mask)
    together = hiding(tokens, streams(len(lengths)))
    end = min(cut, lengths[row])
    alone = TokenBatch(("x",), tokens.input_ids[[row], :end], tokens.attention_mask[[row], :end])
    found = hiding(alone, streams(1, row))
    assert np.array_equal(found.chosen[0], together.chosen[row, :end])
    assert np.array_equal(found.input_ids[0], together.input_ids[row, :end])
