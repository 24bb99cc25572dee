"""The encoder against the model called text by text."""

import numpy as np
import pytest
import torch

from splade.encoding import Encoder, sparse_rows
from splade.encoding import encoder as encoder_module
from splade.files import InputError
from splade.models import Splade
from splade.records import Text
from tests.tiny import tiny_mlm

WORDS = ["heat", "of the sun", "water and ice in the river", "", "iron", "a king and a queen in the house by the sea"]
TEXTS = [Text(f"t{i}", WORDS[i % len(WORDS)] + f" {i % 7}" * (i % 3)) for i in range(23)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Splade(str(tiny_mlm(tmp_path_factory.mktemp("model"))), max_length=32)


def dense(batch):
    matrix = np.zeros((len(batch.ids), batch.vocab_size), np.float32)
    for row in range(len(batch.ids)):
        span = slice(batch.rows.offsets[row], batch.rows.offsets[row + 1])
        matrix[row, batch.rows.columns[span]] = batch.rows.weights[span]
    return matrix


def one_by_one(model, texts):
    model.eval()
    rows = []
    with torch.inference_mode():
        for text in texts:
            tokens = model.tokenizer("document")(text.text, return_tensors="pt", truncation=True, max_length=32)
            rows.append(model("document", tokens["input_ids"], tokens["attention_mask"])[0].numpy())
    return np.stack(rows)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_vectors_keep_the_order_of_the_texts_and_equal_encoding_one_by_one(model, batch_size, monkeypatch):
    monkeypatch.setattr(encoder_module, "WINDOW", 2)
    batch = Encoder(model, "document", batch_size=batch_size).encode_all(TEXTS)
    assert batch.ids == tuple(text.id for text in TEXTS)
    np.testing.assert_allclose(dense(batch), one_by_one(model, TEXTS), rtol=1e-5, atol=1e-5)


def test_columns_increase_and_no_weight_is_zero(model):
    rows = Encoder(model, "document", batch_size=5).encode_all(TEXTS).rows
    assert (rows.weights > 0).all()
    for start, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
        assert (np.diff(rows.columns[start:end]) > 0).all()


def test_a_stream_is_read_two_windows_ahead_and_no_further(model, monkeypatch, as_far_ahead_as_it_goes):
    monkeypatch.setattr(encoder_module, "WINDOW", 3)
    read = []

    def stream():
        for text in TEXTS:
            read.append(text.id)
            yield text

    batches = Encoder(model, "document", batch_size=1).encode(stream())
    seen = 0
    for batch in batches:
        seen += len(batch.ids)
        as_far_ahead_as_it_goes()
        assert len(read) == min(seen + 2 * 3, len(TEXTS))
    assert read == [text.id for text in TEXTS]


def test_an_error_among_the_texts_comes_through_with_what_was_before_it_encoded(model, monkeypatch):
    monkeypatch.setattr(encoder_module, "WINDOW", 2)

    def stream():
        yield from TEXTS[:5]
        raise InputError("raw.tsv:6: no tab")

    batches = Encoder(model, "document", batch_size=2).encode(stream())
    assert next(batches).ids == ("t0", "t1", "t2", "t3")
    with pytest.raises(InputError, match="raw"):
        next(batches)


def test_no_texts_give_an_empty_batch_as_wide_as_the_model(model):
    batch = Encoder(model, "query").encode_all([])
    assert batch.ids == ()
    assert batch.vocab_size == model.vocab_size
    assert batch.rows.offsets.tolist() == [0]


def test_the_model_is_left_in_the_mode_it_was_in(model):
    model.train()
    Encoder(model, "document").encode_all(TEXTS[:2])
    assert model.training
    model.eval()


def test_max_length_cuts_what_is_read(model):
    long = [Text("a", "iron gold copper " * 5)]
    short = Encoder(model, "document", max_length=5).encode_all(long)  # [CLS] iron gold copper [SEP]
    same = Encoder(model, "document").encode_all([Text("a", "iron gold copper")])
    np.testing.assert_allclose(dense(short), dense(same), rtol=1e-5)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        sparse_rows(torch.tensor([[0.0, float("nan")]]))


def test_sparse_rows_by_hand():
    rows = sparse_rows(torch.tensor([[0.0, 2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]))
    assert rows.offsets.tolist() == [0, 2, 2, 3]
    assert rows.columns.tolist() == [1, 2, 0]
    assert rows.weights.tolist() == [2.0, 0.5, 3.0]


def test_an_unknown_side_is_refused_in_words(model):
    with pytest.raises(ValueError, match="'query' or 'document'"):
        Encoder(model, "documents")


@pytest.mark.thinned(3)
@pytest.mark.parametrize("batch_tokens", [1, 12, 10_000])
def test_a_budget_of_tokens_bounds_each_batch_and_changes_no_vector(model, batch_tokens, monkeypatch):
    shapes, inner = [], model.rows

    def watched(side, input_ids, attention_mask):
        shapes.append(input_ids.shape)
        return inner(side, input_ids, attention_mask)

    monkeypatch.setattr(model, "rows", watched)
    batch = Encoder(model, "document", batch_size=8, batch_tokens=batch_tokens).encode_all(TEXTS)
    assert shapes
    assert all(rows <= 8 and (rows == 1 or rows * width <= batch_tokens) for rows, width in shapes)
    assert batch.ids == tuple(text.id for text in TEXTS)
    monkeypatch.undo()
    np.testing.assert_allclose(dense(batch), one_by_one(model, TEXTS), rtol=1e-5, atol=1e-5)


def test_a_budget_without_a_token_is_refused(model):
    with pytest.raises(ValueError, match="batch_tokens must be at least 1, got 0"):
        Encoder(model, "document", batch_tokens=0)
