"""`auto` may lose little where bounds do not help: told from counted work, with the costs that plans go by."""

import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.layout.blocked import Shape
from splade.kernels.compiled import read_only_rows
from splade.kernels.plan import cost_of_bounds, cost_of_ranges, cost_of_visit, worth_bounds
from splade.records import SparseBatch, SparseRows
from splade.search import Searcher
from tests.kernels.cases import batch, random_batch

V = 4000
SHAPE = Shape(range_bits=12, block_bits=6)  # ranges of 4096, so that there are several


def sparse(seed, n, n_terms, weights):
    """Rows of ``n_terms`` random terms, frequent ones more often."""
    rng = np.random.default_rng(seed)
    terms = np.sort((V * rng.random((n, 2 * n_terms)) ** 3).astype(np.int32), axis=1)
    kept = np.concatenate([np.ones((n, 1), bool), terms[:, 1:] != terms[:, :-1]], axis=1)
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return SparseBatch(
        tuple(map(str, range(n))), SparseRows(offsets, terms[kept], weights(rng, int(kept.sum())).astype(np.float32)), V
    )


def ones(rng, n):
    return np.ones(n)


def noisy(rng, n):
    return 1 + 0.01 * rng.random(n)


def spread(rng, n):
    return rng.gamma(1, 1, n) + 0.01


def queries(seed, n_terms, n=6):
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(V, n_terms, replace=False)) for _ in range(n)]
    return SparseRows(
        np.arange(n + 1, dtype=np.int64) * n_terms,
        np.concatenate(chosen).astype(np.int32),
        (rng.random(n * n_terms) + 0.1).astype(np.float32),
    )


def cost(index, rows, counts):
    """What each query took, by the costs of the plan, beside what scoring all takes."""
    blocks, rows = index.blocks, read_only_rows(rows)
    for q in range(len(rows.offsets) - 1):
        place = (blocks, rows, rows.offsets[q], rows.offsets[q + 1])
        took = counts.blocks[q] * cost_of_visit(*place) + counts.ranges[q] / blocks.n_ranges * cost_of_ranges(*place)
        looked = counts.blocks[q] > 0 or counts.ranges[q] < blocks.n_ranges
        yield took + looked * cost_of_bounds(*place), cost_of_ranges(*place)


def assert_cheap(index, rows, ks):
    for k in ks:
        found = Searcher(index, "auto").search_csr(rows, k)
        expected = Searcher(index, "exhaustive").search_csr(rows, k)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        for took, everything in cost(index, rows, Searcher(index, "auto").count(rows, k)):
            assert took <= 1.2 * everything, f"k={k}: {took:.0f} ns against {everything:.0f} ns"


@pytest.fixture(scope="module", params=[ones, noisy, spread], ids=lambda make: make.__name__)
def unordered(request):
    return InvertedIndex.from_csr(sparse(1, 20000, 40, request.param), cluster=False, shape=SHAPE)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("n_terms", [1, 2, 6, 25, 43, 500, 3000])
def test_documents_in_no_order_cost_little_more_than_scoring_all(unordered, n_terms):
    assert_cheap(unordered, queries(n_terms, n_terms), (1, 10, 70, 2000, 20000))


def test_documents_all_alike_cost_little_more_than_scoring_all():
    index = InvertedIndex.from_csr(batch(np.ones((9000, 40), np.float32)), shape=SHAPE)
    for n_terms in (1, 5, 40):
        assert_cheap(index, batch(np.tril(np.ones((40, 40)))[[n_terms - 1]]).rows, (1, 10, 30, 900, 9000))


@pytest.mark.parametrize("n_docs", [1, 3, 50, 700, 5000])
def test_small_collections_cost_little_more_than_scoring_all(n_docs):
    index = InvertedIndex.from_csr(random_batch(3, n_docs, 60), cluster=False)
    assert_cheap(index, random_batch(4, 20, 60, prefix="q").rows, (1, n_docs))


def test_long_queries_of_rare_terms_are_not_bounded():
    """Where a block holds about one posting of a term, bounds are as many as postings."""
    index = InvertedIndex.from_csr(sparse(1, 20000, 40, spread), cluster=False, shape=SHAPE)
    rare = np.arange(V - 600, V, dtype=np.int32)
    rows = read_only_rows(SparseRows(np.array([0, 600]), rare, np.ones(600, np.float32)))
    assert not worth_bounds(index.blocks, rows, 0, 600, np.zeros(2, np.int64))
    assert Searcher(index, "auto").count(rows, 10).ranges.tolist() == [index.blocks.n_ranges]


def test_a_k_that_is_a_large_share_of_the_collection_scores_all(unordered):
    rows = queries(0, 6)
    assert (Searcher(unordered, "auto").count(rows, 100).blocks == 0).all()


def test_bounds_are_used_where_they_pay():
    """The best documents of a term are together, so that few of its postings are looked at."""
    weights = np.linspace(1, 2, 50000, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    index = InvertedIndex.from_csr(batch(weights), cluster=False)
    counts = Searcher(index, "auto").count(batch(np.eye(3)), 10)
    assert (counts.postings < 2000).all()
    assert (counts.ranges == 0).all()
