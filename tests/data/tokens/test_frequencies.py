"""Document frequencies: counted by hand, the same for any order and any split, and their weights."""

import math
import random

import numpy as np
import pytest

from splade.data.tokens import frequencies
from splade.data.tokens.frequencies import document_frequencies
from splade.records import Text
from tests.tiny import tiny_tokenizer

TEXTS = ["bee bee honey", "the bee", "king of the sea", "", "honey and bread and salt"]


def counted(texts, max_length=64):
    tokenizer = tiny_tokenizer()
    found = document_frequencies(tokenizer, [Text(str(n), text) for n, text in enumerate(texts)], max_length)
    names = tokenizer.convert_ids_to_tokens(np.flatnonzero(found.counts).tolist())
    return found, dict(zip(names, found.counts[found.counts > 0].tolist(), strict=True))


def test_a_text_counts_once_for_each_token_that_it_has():
    found, counts = counted(TEXTS)
    words = {"bee": 2, "honey": 2, "the": 2, "king": 1, "of": 1, "sea": 1, "and": 1, "bread": 1, "salt": 1}
    assert counts == {**words, "[CLS]": 5, "[SEP]": 5}
    assert found.n_docs == 5
    assert found.mean_length == (3 + 2 + 4 + 0 + 5) / 5


def test_only_what_is_read_of_a_text_counts():
    _, counts = counted(["bee honey king"], max_length=4)
    assert set(counts) == {"bee", "honey", "[CLS]", "[SEP]"}


def test_neither_order_nor_windows_matter(monkeypatch):
    _, counts = counted(TEXTS)
    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    monkeypatch.setattr(frequencies, "WINDOW", 2)
    assert counted(shuffled)[1] == counts


def test_the_weight_of_a_token_in_two_of_five_texts_is_the_one_worked_by_hand():
    found, _ = counted(TEXTS)
    vocabulary = tiny_tokenizer().get_vocab()
    assert found.idf()[vocabulary["bee"]] == pytest.approx(math.log(1 + 3.5 / 2.5))
    assert found.idf()[vocabulary["king"]] == pytest.approx(math.log(1 + 4.5 / 1.5))
    assert found.idf()[vocabulary["[CLS]"]] == pytest.approx(math.log(1 + 0.5 / 5.5))


def test_weights_fall_with_the_number_of_texts_and_are_never_negative():
    found, _ = counted(TEXTS)
    weights = found.idf()[np.argsort(found.counts, kind="stable")]
    assert (np.diff(weights) <= 0).all()
    assert weights.min() >= 0
    assert weights.max() == pytest.approx(math.log(1 + 5.5 / 0.5))
