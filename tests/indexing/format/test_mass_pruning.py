"""Documents without their lightest terms: pruning to a share of a vector's weight."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.engines import Inverted
from splade.engines.inverted import build_index
from splade.engines.protocol import Documents
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, merge
from splade.indexing.format.pruning import Pruned, prune_vectors
from splade.kernels.sparse import from_dense, to_dense, transpose
from tests.kernels.cases import batch, dense_matrices, random_batch

MASSES = st.sampled_from([0.01, 0.3, 0.5, 0.75, 0.9, 0.999, 1.0])


def kept(matrix, **rules):
    index = InvertedIndex.from_csr(batch(matrix), **rules)
    return to_dense(transpose(index.postings, index.n_docs), index.vocab_size), index


def by_numpy(row, top_terms, mass):
    """The entries of a row that stay, by a stable sort and a running sum in float64."""
    order = [term for term in np.argsort(-row, kind="stable") if row[term] > 0]
    if not order:
        return row
    sums = np.cumsum(row[order].astype(np.float64))
    n = len(order) if mass == 1 else int(np.searchsorted(sums, mass * sums[-1])) + 1
    expected = np.zeros_like(row)
    stay = order[: min(n, top_terms or len(order))]
    expected[stay] = row[stay]
    return expected


def test_a_document_keeps_the_fewest_heaviest_terms_that_reach_the_share_of_its_weight():
    # of 10: 4 + 3 are 7 and reach .7; of 4 equal ones, the first two reach a half; one term stays in any case
    found, index = kept([[4, 1, 3, 2], [1, 1, 1, 1], [0, 0, 9, 0], [0, 0, 0, 0]], prune_mass=0.7)
    assert found.tolist() == [[4, 0, 3, 0], [1, 1, 1, 0], [0, 0, 9, 0], [0, 0, 0, 0]]
    assert index.pruned == Pruned(postings_before=9, by_mass=3, terms_lost=1)
    assert (index.empty_docs, index.pruned.share) == (1, 3 / 9)
    assert kept([[1, 1, 1, 1]], prune_mass=0.5)[0].tolist() == [[1, 1, 0, 0]]
    assert kept([[4, 1, 3, 2]], prune_mass=1e-9)[0].tolist() == [[4, 0, 0, 0]]


@given(
    matrix=dense_matrices(min_rows=1, ties=True) | dense_matrices(min_rows=1),
    mass=MASSES,
    top_terms=st.sampled_from([None, 1, 3]),
)
@settings(max_examples=80, deadline=None)
def test_the_kernel_keeps_what_numpy_keeps_and_counts_what_each_rule_leaves_out(matrix, mass, top_terms):
    rows, pruned = prune_vectors(from_dense(matrix), top_terms, mass)
    expected = np.array([by_numpy(row, top_terms, mass) for row in matrix])
    np.testing.assert_array_equal(to_dense(rows, matrix.shape[1]), expected)
    sizes = (matrix > 0).sum(1)
    assert pruned.by_document == np.maximum(sizes - (top_terms or matrix.shape[1]), 0).sum()
    assert pruned.by_document + pruned.by_mass == sizes.sum() - (expected > 0).sum()


@given(matrix=dense_matrices(min_rows=1), low=MASSES, high=MASSES)
@settings(max_examples=40, deadline=None)
def test_a_larger_share_keeps_all_that_a_smaller_one_keeps_and_the_share_is_reached(matrix, low, high):
    low, high = min(low, high), max(low, high)
    less, more = (to_dense(prune_vectors(from_dense(matrix), None, mass)[0], 7) for mass in (low, high))
    assert (less[less > 0] == more[less > 0]).all()
    assert ((less > 0).any(1) == (matrix > 0).any(1)).all()
    assert (less.astype(np.float64).sum(1) >= low * matrix.astype(np.float64).sum(1) * (1 - 1e-12)).all()


def test_a_share_of_one_gives_the_bytes_of_an_index_without_the_rule(tmp_path):
    documents = random_batch(1, 60, 30)
    for name, rules in (("plain", {}), ("whole", {"prune_mass": 1.0})):
        builder = IndexBuilder(tmp_path / name, 30, **rules)
        builder.add(documents)
        builder.finish()
    plain, whole = (
        {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("plain", "whole")
    )
    assert plain == whole
    assert "prune_mass" not in (tmp_path / "whole/inverted_index/header.json").read_text()


def test_a_build_in_segments_is_that_of_the_matrix_and_says_what_it_left_out(tmp_path):
    parts = [random_batch(seed, 50, 30, first=50 * seed) for seed in range(3)]
    rules = {"prune_top_terms": 6, "prune_mass": 0.8, "prune_min_weight": 0.4, "prune_term_quantile": 0.1}
    builder = IndexBuilder(tmp_path / "built", 30, **rules)
    for part in parts:
        builder.add(part)
        builder.checkpoint()
    built = builder.finish()
    direct = InvertedIndex.from_csr(batch(np.concatenate([to_dense(part.rows, 30) for part in parts])), **rules)
    assert built.header == direct.header
    for name, array in direct.arrays.items():
        np.testing.assert_array_equal(built.arrays[name], array, err_msg=name)
    by_rule = [getattr(built.pruned, f"by_{rule}") for rule in ("document", "mass", "weight", "term")]
    assert min(by_rule) > 0
    assert built.pruned.postings_before - sum(by_rule) == built.n_postings
    stored = json.loads((tmp_path / "built/inverted_index/header.json").read_text())
    assert stored["layout"]["prune_mass"] == 0.8
    assert InvertedIndex.open(tmp_path / "built").layout == built.layout


def test_appended_documents_are_pruned_as_those_of_the_index_and_a_merge_prunes_nothing_again(tmp_path):
    first, second = random_batch(0, 40, 30), random_batch(1, 30, 30, first=40)
    builder = IndexBuilder(tmp_path / "index", 30, prune_mass=0.6)
    builder.add(first)
    builder.finish()
    appender = IndexAppender(tmp_path / "index")
    appender.add(second)
    appender.finish()
    whole = np.concatenate([to_dense(part.rows, 30) for part in (first, second)])
    expected, direct = kept(whole, prune_mass=0.6)
    merged = merge(tmp_path / "index")
    np.testing.assert_array_equal(to_dense(transpose(merged.postings, 70), 30), expected)
    assert merged.layout == direct.layout
    assert merged.pruned.by_mass == direct.pruned.by_mass


def test_an_index_of_another_share_is_not_kept(tmp_path):
    def documents():
        return Documents(lambda start: [random_batch(0, 20, 30)] if start == 0 else [], 30, None, "", {"of": "a test"})

    build_index(documents(), tmp_path, layout={"prune_mass": 0.9})
    assert Inverted(tmp_path, layout={"prune_mass": 0.9}).is_built(documents())
    assert not Inverted(tmp_path).is_built(documents())
    assert not Inverted(tmp_path, layout={"prune_mass": 0.5}).is_built(documents())


def test_a_build_with_another_share_is_not_continued(tmp_path):
    builder = IndexBuilder(tmp_path / "index", 30, prune_mass=0.5)
    builder.add(random_batch(0, 20, 30))
    builder.checkpoint()
    del builder
    assert IndexBuilder(tmp_path / "index", 30, prune_mass=0.6, resume=True).n_docs == 0


@pytest.mark.parametrize("value", [0, 1.5, float("nan"), -0.1])
def test_a_share_that_makes_no_sense_is_refused(value, tmp_path):
    with pytest.raises(ValueError, match="prune_mass must be above 0 and at most 1"):
        IndexBuilder(tmp_path / "index", 3, prune_mass=value)
