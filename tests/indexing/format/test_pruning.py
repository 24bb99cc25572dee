import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.format.pruning import Pruned
from splade.kernels.sparse import to_dense, transpose
from tests.kernels.cases import batch, dense_matrices, random_batch


def kept(matrix, **rules):
    index = InvertedIndex.from_csr(batch(matrix), **rules)
    return to_dense(transpose(index.postings, index.n_docs), index.vocab_size), index


def test_a_document_keeps_its_heaviest_terms_and_of_equal_ones_the_first():
    found, index = kept([[1, 3, 2, 0], [5, 5, 5, 5], [0, 0, 0, 1]], prune_top_terms=2)
    assert found.tolist() == [[0, 3, 2, 0], [5, 5, 0, 0], [0, 0, 0, 1]]
    assert index.pruned == Pruned(postings_before=8, by_document=3)


def test_light_postings_go_but_never_a_terms_heaviest():
    found, index = kept([[1, 0.2], [2, 0.1], [0.5, 0.2]], prune_min_weight=1.0)
    assert found.tolist() == [[1, np.float32(0.2)], [2, 0], [0, 0]]
    assert index.pruned == Pruned(postings_before=6, by_weight=3)
    assert index.empty_docs == 1


def test_a_share_of_each_terms_postings_goes_the_lightest():
    found, index = kept([[4, 1], [3, 0], [2, 0], [1, 0]], prune_term_quantile=0.5)
    assert found.tolist() == [[4, 1], [3, 0], [0, 0], [0, 0]]
    assert index.pruned == Pruned(postings_before=5, by_term=2)


def test_terms_that_no_document_has_any_more_are_counted():
    assert kept([[1, 3], [2, 3]], prune_top_terms=1)[1].pruned == Pruned(4, by_document=2, terms_lost=1)


@given(
    matrix=dense_matrices(min_rows=1, max_rows=12, ties=True),
    least=st.sampled_from([0.0, 0.5, 1.0, 9.0]),
    quantile=st.sampled_from([0.0, 0.1, 0.5, 0.99]),
)
@settings(max_examples=60, deadline=None)
def test_no_term_loses_its_last_posting_and_the_account_adds_up(matrix, least, quantile):
    found, index = kept(matrix, prune_min_weight=least, prune_term_quantile=quantile)
    assert ((found > 0).any(0) == (matrix > 0).any(0)).all()
    assert ((found == matrix) | (found == 0)).all()
    assert (found.max(0, initial=0) == matrix.max(0, initial=0)).all()
    report = index.pruned or Pruned(index.n_postings)
    assert report.postings_before - report.by_weight - report.by_term == index.n_postings
    assert index.empty_docs == (found.sum(1) == 0).sum()


def test_a_pruned_build_is_that_of_the_matrix_and_says_what_it_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    parts = [random_batch(seed, 100, 30, first=100 * seed) for seed in range(3)]
    rules = {"prune_top_terms": 5, "prune_min_weight": 0.2, "prune_term_quantile": 0.1}
    builder = IndexBuilder(tmp_path / "built", 30, **rules)
    for part in parts:
        builder.add(part)
        builder.checkpoint()
    built = builder.finish()
    everything = np.concatenate([to_dense(part.rows, 30) for part in parts])
    direct = InvertedIndex.from_csr(batch(everything), **rules)
    assert built.header == direct.header
    for name, array in direct.arrays.items():
        np.testing.assert_array_equal(built.arrays[name], array, err_msg=name)
    assert "postings pruned" in caplog.text
    assert built.pruned.share > 0.1


@pytest.mark.parametrize(
    ("rule", "value"), [("prune_top_terms", 0), ("prune_min_weight", -1), ("prune_term_quantile", 1.0)]
)
def test_rules_that_make_no_sense_are_refused(rule, value, tmp_path):
    with pytest.raises(ValueError, match=rule):
        IndexBuilder(tmp_path / "index", 3, **{rule: value})


def test_a_build_with_another_number_of_terms_per_document_is_not_continued(tmp_path):
    builder = IndexBuilder(tmp_path / "index", 30, prune_top_terms=5)
    builder.add(random_batch(0, 20, 30))
    builder.checkpoint()
    del builder
    assert IndexBuilder(tmp_path / "index", 30, prune_top_terms=6, resume=True).n_docs == 0
