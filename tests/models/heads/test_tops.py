"""The largest weights of a vector, dense and sparse."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.models.heads.sparse_head import sparse_rows
from splade.models.heads.tops import keep_largest, largest_entries

ROWS = st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0]), min_size=6, max_size=6)
MATRICES = st.lists(ROWS, min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(MATRICES, st.integers(-1, 7))
def test_the_entries_kept_of_sparse_rows_are_those_kept_of_the_vectors(matrix, k):
    weights = torch.tensor(matrix)
    kept = largest_entries(sparse_rows(weights), k)
    for mine, expected in zip(kept, sparse_rows(keep_largest(weights, k)), strict=True):
        assert mine.tolist() == expected.tolist()
        assert mine.dtype == expected.dtype


@settings(max_examples=100, deadline=None)
@given(MATRICES, st.integers(1, 7))
def test_no_weight_that_is_kept_is_below_one_that_is_not_and_no_more_than_k_are(matrix, k):
    for before, after in zip(matrix, keep_largest(torch.tensor(matrix), k).tolist(), strict=True):
        kept = [weight for weight in after if weight]
        left_out = [weight for weight, new in zip(before, after, strict=True) if weight and not new]
        assert len(kept) == min(k, sum(weight > 0 for weight in before))
        assert not left_out or min(kept) >= max(left_out)
