import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.kernels.sparse import (
    check,
    concatenate,
    from_csr,
    from_dense,
    from_matrix,
    keep_entries,
    take_rows,
    to_dense,
    transpose,
)
from splade.kernels.sparse import transpose_parts as turn_together
from splade.records import SparseRows
from tests.kernels.cases import batch, dense_matrices


def rows_of(offsets, columns, weights):
    return SparseRows(np.array(offsets, np.int64), np.array(columns, np.int32), np.array(weights, np.float32))


@given(dense_matrices())
@settings(deadline=None)
def test_dense_to_sparse_and_back_changes_nothing(matrix):
    rows = from_dense(matrix)
    check(rows, matrix.shape[1])
    assert (to_dense(rows, matrix.shape[1]) == matrix).all()


@given(dense_matrices())
@settings(deadline=None)
def test_transposing_turns_the_matrix(matrix):
    turned = transpose(from_dense(matrix), matrix.shape[1])
    check(turned, max(len(matrix), 1))
    assert (to_dense(turned, len(matrix)) == matrix.T).all()


@given(st.lists(dense_matrices(max_rows=4), max_size=4))
@settings(deadline=None)
def test_parts_laid_together_are_the_rows_one_after_the_other(matrices):
    parts = [from_dense(matrix) for matrix in matrices]
    whole = np.concatenate([np.zeros((0, 7), np.float32), *matrices])
    assert (to_dense(concatenate(parts), 7) == whole).all()
    assert (to_dense(turn_together(parts, 7), len(whole)) == whole.T).all()


def test_postings_worked_by_hand():
    postings = transpose(rows_of([0, 2, 2, 4], [0, 3, 1, 3], [1, 2, 3, 4]), 4)
    assert postings.offsets.tolist() == [0, 1, 2, 2, 4]
    assert postings.columns.tolist() == [0, 2, 0, 2]
    assert postings.weights.tolist() == [1, 3, 2, 4]


def test_numbering_starts_where_it_is_told():
    assert turn_together([rows_of([0, 1, 2], [0, 0], [1, 1])], 1, first=10).columns.tolist() == [10, 11]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)), max_size=30), st.randoms())
@settings(max_examples=60, deadline=None)
def test_unsorted_rows_with_repeats_and_zeros_mean_what_scipy_means(entries, random):
    random.shuffle(entries)
    entries.sort(key=lambda entry: entry[0])
    indptr = np.concatenate([[0], np.cumsum(np.bincount([r for r, _, _ in entries], minlength=5))])
    indices, data = np.array([c for _, c, _ in entries], np.int64), np.array([w for _, _, w in entries], np.float64)
    rows = from_csr(indptr, indices, data, 7)
    check(rows, 7)
    assert (to_dense(rows, 7) == scipy.sparse.csr_matrix((data, indices, indptr), shape=(5, 7)).toarray()).all()


def test_sound_arrays_are_not_copied():
    rows = rows_of([0, 1], [3], [1])
    assert np.shares_memory(from_csr(*rows, 4).columns, rows.columns)


@pytest.mark.parametrize(
    ("columns", "weights", "words"),
    [
        ([0, 4], [1, 1], r"row 1: columns must be in \[0, 4\), got 4"),
        ([0, -1], [1, 1], r"row 1: columns must be in \[0, 4\), got -1"),
        ([0, 1], [1, -2], "row 1: column 1 has weight -2.0"),
        ([0, 1], [1, np.nan], "row 1: column 1 has weight nan"),
        ([0, 1], [np.inf, 1], "row 0: column 0 has weight inf"),
        ([0, 1], [1, 1e300], "row 1: column 1 has weight inf"),
    ],
)
def test_unusable_entries_are_named_with_their_row(columns, weights, words):
    with pytest.raises(ValueError, match=words):
        from_csr(np.array([0, 1, 2]), np.array(columns), np.array(weights, np.float64), 4)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of([0, 2], [1, 1], [1, 1]), "row 0: columns must increase"),
        (rows_of([0, 0, 2], [2, 1], [1, 1]), "row 1: columns must increase"),
        (rows_of([0, 0, 1], [1], [0]), "row 1: column 1 has weight 0"),
        (rows_of([0, 1], [9], [1]), r"row 0: columns must be in \[0, 4\)"),
        (rows_of([0, 2, 1, 2], [1, 2], [1, 1]), "offsets must rise"),
        (rows_of([0, 1], [1, 2], [1, 1]), "offsets must rise"),
        (rows_of([], [], []), "flat"),
        (rows_of([0, 1], [1], [1])._replace(weights=np.ones(1)), "float64"),
    ],
)
def test_rows_that_break_the_promise_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        check(rows, 4)


def test_two_weights_of_a_column_that_add_up_to_infinity_are_refused():
    with pytest.raises(ValueError, match="weight inf"):
        from_csr(np.array([0, 2]), np.array([1, 1]), np.array([3e38, 3e38], np.float32))


def test_a_matrix_may_be_csr_or_rows_or_a_batch():
    dense = np.array([[0, 2.0], [1.0, 0]], np.float32)
    for matrix in (scipy.sparse.csr_matrix(dense), from_dense(dense), batch(dense)):
        assert (to_dense(from_matrix(matrix, 2).rows, 2) == dense).all()


def test_column_layout_and_dense_arrays_are_refused_in_words():
    with pytest.raises(ValueError, match="tocsr"):
        from_matrix(scipy.sparse.csc_matrix(np.eye(2)))
    with pytest.raises(TypeError, match="got ndarray"):
        from_matrix(np.eye(2))
    with pytest.raises(ValueError, match="shape"):
        from_dense(np.ones(3))


@given(dense_matrices(max_rows=8), st.data())
@settings(deadline=None)
def test_rows_are_taken_in_any_order_and_entries_kept_as_a_dense_matrix_has_them(matrix, data):
    rows = from_dense(matrix)
    numbers = data.draw(st.lists(st.integers(0, len(matrix) - 1))) if len(matrix) else []
    taken = take_rows(rows, np.array(numbers, np.int64))
    assert (to_dense(taken, matrix.shape[1]) == matrix[numbers]).all()
    keep = rows.weights > 1
    assert (to_dense(keep_entries(rows, keep), matrix.shape[1]) == np.where(matrix > 1, matrix, 0)).all()
