"""Sparse rows out of the head against the dense weights."""

import numpy as np
import pytest
import torch

from splade.models import Splade, SpladeDoc, SpladeLexical, SpladeTopK
from splade.models.heads import sparse_head
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.fused_head import POOLINGS, splade_head
from splade.models.heads.sparse_head import concatenated, in_places, sparse_rows
from tests.models.heads.test_fused_head import LENGTHS, case
from tests.models.support import TEXTS, tokens


def dense(rows, width):
    matrix = np.zeros((len(rows.offsets) - 1, width), np.float32)
    for row, (start, end) in enumerate(zip(rows.offsets[:-1], rows.offsets[1:], strict=True)):
        assert (np.diff(rows.columns[start:end]) > 0).all()
        assert (rows.weights[start:end] > 0).all()
        matrix[row, rows.columns[start:end]] = rows.weights[start:end]
    return matrix


@pytest.mark.thinned(4)
@pytest.mark.parametrize("agg", POOLINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [None, -1.0, 100.0, -100.0])
@pytest.mark.parametrize("stretch", [1, 16, 1000])
def test_rows_are_the_non_zeros_of_the_dense_head_whatever_is_held_at_once(agg, activation, bias, stretch, monkeypatch):
    monkeypatch.setattr(sparse_head, "STRETCH", stretch)
    inputs = case(bias=bias)
    rows = sparse_head.sparse_head(inputs[0], LENGTHS, *inputs[1:], agg, activation)
    weights = splade_head(inputs[0], LENGTHS, *inputs[1:], agg, activation).detach().numpy()
    np.testing.assert_allclose(dense(rows, weights.shape[1]), weights, rtol=1e-5, atol=1e-5)
    assert (rows.columns.dtype, rows.weights.dtype, rows.offsets.dtype) == (np.int32, np.float32, np.int64)


def test_weights_of_all_terms_are_never_held(monkeypatch):
    monkeypatch.setattr(sparse_head, "STRETCH", 16)
    widths, inner = [], sparse_head.splade_head

    def watched(tokens, lengths, weight, *rest):
        widths.append(len(weight))
        return inner(tokens, lengths, weight, *rest)

    monkeypatch.setattr(sparse_head, "splade_head", watched)
    inputs = case()
    sparse_head.sparse_head(inputs[0], LENGTHS, *inputs[1:], "max", "relu")
    assert widths == [16, 16, 16, 16, 6]


def test_weights_that_are_not_finite_are_refused():
    states, weight, bias = case()
    with torch.no_grad():
        bias[69] = float("inf")
    with pytest.raises(ValueError, match="NaN or infinite"):
        sparse_head.sparse_head(states, LENGTHS, weight, bias, "max", "relu")


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Splade, {}), (SpladeLexical, {"lexical_type": "both"}), (SpladeTopK, {"top_d": 3}), (SpladeDoc, {})],
)
@pytest.mark.parametrize("side", ["document", "query"])
def test_the_rows_of_every_kind_of_model_are_its_vectors(kind, options, side, mlm):
    model = kind(mlm, **options)
    ids, mask = tokens(model, ("king", *TEXTS, ""))
    with torch.inference_mode():
        expected = model(side, ids, mask).numpy()
        rows = model.rows(side, ids, mask)
    np.testing.assert_allclose(dense(rows, model.vocab_size), expected, rtol=1e-5, atol=1e-6)


def test_rows_moved_to_their_places_and_joined_by_hand():
    first = sparse_rows(torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    moved = in_places(first, np.array([2, 0, 1]))
    assert dense(moved, 3).tolist() == [[3, 0, 0], [0, 0, 0], [0, 1, 2]]
    assert dense(concatenated([first, moved]), 3).tolist() == [*dense(first, 3).tolist(), *dense(moved, 3).tolist()]
    assert concatenated([]).offsets.tolist() == [0]
