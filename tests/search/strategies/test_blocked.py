import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.indexing import InvertedIndex
from splade.indexing.format.choices import Shape
from splade.kernels.sparse import to_dense
from splade.search import Searcher
from tests.kernels.cases import batch, brute_force, dense_matrices, random_batch

SMALL = Shape(range_bits=8, block_bits=6)  # blocks of 64, ranges of 4 blocks: few documents fill many
STRATEGIES = ("exhaustive", "block_max", "auto")


def indexed(documents, **layout):
    return InvertedIndex.from_csr(documents, **({"cluster": True, "shape": SMALL, "n_threads": 1} | layout))


def assert_equal(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1].view(np.uint32), expected[1].view(np.uint32))  # to the last bit


def repeated(matrix, times):
    """Many documents from few: copies of the rows, every seventh of them doubled."""
    many = np.tile(matrix, (times, 1))
    many[::7] *= 2
    return many


@given(
    documents=st.booleans().flatmap(lambda ties: dense_matrices(min_rows=1, max_rows=14, ties=ties)),
    times=st.sampled_from([1, 30, 60]),
    queries=st.booleans().flatmap(lambda ties: dense_matrices(max_rows=3, ties=ties)),
    k=st.sampled_from([1, 3, 10, 90, 1000]),
    threshold=st.sampled_from([0.0, 1.0, 2.5]),
    strategy=st.sampled_from(STRATEGIES),
    filtered=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_strategy_equals_dense_brute_force(documents, times, queries, k, threshold, strategy, filtered):
    documents = repeated(documents, times)
    allowed = np.arange(len(documents)) % 3 != 0 if filtered else None
    engine = Searcher(indexed(batch(documents)), strategy)
    expected = brute_force(documents, queries, k, threshold, allowed)
    assert_equal(engine.search_csr(batch(queries).rows, k, threshold=threshold, allowed=allowed), expected)


@pytest.mark.parametrize("weights", ["float32", pytest.param("float16", marks=pytest.mark.slow), "uint8"])
@pytest.mark.parametrize("density", [0.02, 0.3])
def test_strategies_agree_to_the_last_bit_over_many_blocks(weights, density):
    index = indexed(random_batch(1, 4000, 60, density), weights=weights)
    queries = random_batch(2, 8, 60, 0.3, prefix="q")
    for k in (1, 10, 300, 4000, 5000):
        expected = Searcher(index, "reference").search_csr(queries, k)
        for strategy in STRATEGIES:
            assert_equal(Searcher(index, strategy).search_csr(queries, k), expected)


def hard_cases():
    rng = np.random.default_rng(0)
    n = 1500
    one_hot = np.eye(5, dtype=np.float32)[rng.integers(0, 5, n)]
    spread = rng.random((n, 5), np.float32)
    yield "all documents are alike", np.ones((n, 5), np.float32)
    yield "one document", np.ones((1, 5), np.float32)
    yield "most documents are empty", spread * (rng.random((n, 1)) < 0.01)
    yield "all documents are empty", np.zeros((n, 5), np.float32)
    yield "one term each", one_hot
    yield "the best come last", np.arange(1, n + 1, dtype=np.float32)[:, None] * np.ones((1, 5), np.float32)
    yield "the best come first", np.arange(n, 0, -1).astype(np.float32)[:, None] * np.ones((1, 5), np.float32)
    yield "huge weights", spread * np.float32(3e38)
    yield "weights that underflow", (spread * np.float32(1e-40)).astype(np.float32)
    yield "the smallest weights there are", one_hot * np.float32(1e-45)
    yield "tiny and huge weights", np.where(rng.random((n, 5)) < 0.5, np.float32(1e-40), np.float32(1e30))
    yield "a single huge weight", np.concatenate([spread, np.full((1, 5), 1e20, np.float32)])


@pytest.mark.parametrize(
    ("case", "documents"), list(hard_cases()), ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_hard_collections_are_searched_exactly(case, documents, strategy):
    queries = np.array(
        [
            [1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0],
            [2, 0, 0, 0, 0],
            [0, 0, 0, 0, 3],
            [1e-3, 1e3, 0, 0, 1],
            [3e38] * 5,
            [1e-45] * 5,
        ],
        np.float32,
    )
    index = indexed(batch(documents))
    for k in (1, 10, 700, 2000):
        with np.errstate(over="ignore", under="ignore"):
            expected = brute_force(documents, queries, k)
        assert_equal(Searcher(index, strategy).search_csr(batch(queries), k), expected)


def test_a_query_of_every_term_is_answered():
    documents = random_batch(3, 900, 3000, 0.01)
    query = batch(np.random.default_rng(1).random((2, 3000), np.float32) + 0.01)
    expected = Searcher(indexed(documents), "reference").search_csr(query, 20)
    for strategy in STRATEGIES:
        assert_equal(Searcher(indexed(documents), strategy).search_csr(query, 20), expected)


@pytest.mark.parametrize("shape", [Shape(6, 6), Shape(15, 7), Shape(9, 8)])
@pytest.mark.parametrize("cluster", [False, True])
def test_neither_shape_nor_order_changes_a_result(shape, cluster):
    documents, queries = random_batch(4, 1000, 30), random_batch(5, 6, 30)
    expected = brute_force(to_dense(documents.rows, 30), to_dense(queries.rows, 30), 25)
    engine = Searcher(indexed(documents, shape=shape, cluster=cluster), "block_max")
    assert_equal(engine.search_csr(queries, 25), expected)


def test_results_do_not_depend_on_threads():
    engine = Searcher(indexed(random_batch(6, 3000, 50)), "block_max")
    queries = random_batch(7, 200, 50)
    expected = engine.search_csr(queries, 20)
    assert_equal(engine.search_csr(queries, 20, n_threads=4), expected)


def test_blocks_that_cannot_hold_the_best_are_left_out():
    topics = np.eye(20, dtype=np.float32)[np.repeat(np.arange(20), 200)]  # 200 documents on each of 20 terms
    topics[::200] *= 3  # the best of each
    index = indexed(batch(topics))
    counts = Searcher(index, "block_max").count(batch(np.eye(20, dtype=np.float32)), 1)
    assert (counts.postings <= 200).all()
    assert (counts.blocks + counts.ranges > 0).all()
    streamed = Searcher(index, "exhaustive").count(batch(np.eye(20, dtype=np.float32)), 1)
    assert (streamed.postings == 200).all()
    assert (streamed.ranges == index.blocks.n_ranges).all()
