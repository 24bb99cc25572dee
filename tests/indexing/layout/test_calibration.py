import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.layout.blocked import Shape
from splade.indexing.layout.calibration import K_GRID, QUERY_TERMS, SHAPE, SHARES, calibrate, made_up, of_length
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.sparse import to_dense
from splade.search import Searcher
from tests.kernels.cases import batch, random_batch
from tests.search.strategies.test_approximate import N, V, topical


@pytest.fixture(scope="module")
def index():
    return InvertedIndex.from_csr(topical(1, N, 30), cluster=True, shape=Shape(9, 6))


@pytest.fixture(scope="module")
def documents(index):
    return read_only_rows(index.vectors(np.arange(0, N, 7)))


def test_all_is_found_where_bounds_are_taken_whole_and_less_where_they_are_not(index, documents):
    recall = calibrate(index.blocks, documents)
    assert recall.shape == SHAPE
    assert recall.dtype == np.float32
    assert (recall[:, :, 0] == 1).all()
    assert (np.diff(recall, axis=2) <= 1e-6).all()
    assert (recall[:3, 2, -1] < 0.9).all()


def test_recall_is_that_of_blocks_whose_bound_reaches_the_bar():
    """By hand: two blocks of 64 documents; the first holds scores 8 and 5, the second 6 beside a bound of 10."""
    weights = np.zeros((128, 2), np.float32)
    weights[3] = 8, 0
    weights[9] = 5, 0
    weights[70] = 3, 3
    weights[80] = 5, 0  # 5 + 5 bounds the second block
    weights[90] = 0, 5
    index = InvertedIndex.from_csr(batch(weights), cluster=False, shape=Shape(7, 6))
    queries = read_only_rows(batch(np.ones((16, 2))).rows)
    recall = calibrate(index.blocks, read_only_rows(batch(weights).rows), queries=queries)
    # k=1: the bar is 8, the bound of its block 8: any share below 1 loses it
    assert recall[0, 1].tolist() == [1.0] + [0.0] * (len(SHARES) - 1)
    # fewer than k=10 documents match: all are found
    assert (recall[1, 1] == 1).all()
    assert (recall[1, 0, 1:] == 0).all(), "no query of one term: nothing but share 1 is known"


def test_measured_recall_is_at_most_that_of_a_search_with_the_share(index, documents):
    queries = made_up(documents, 12, 3)
    measured = calibrate(index.blocks, documents, queries=queries)[K_GRID.index(10), 3]
    exact = Searcher(index, "exhaustive").search_csr(queries, 10)[1]
    for share in SHARES[5::8]:
        engine = Searcher(index, "block_max")
        engine.strategy_object._shares = read_only(np.full(33, share, np.float32))
        found = (engine.search_csr(queries, 10)[1] >= exact[:, -1:]).mean()
        assert measured[list(SHARES).index(share)] <= found + 1e-6


@pytest.mark.parametrize("n_terms", QUERY_TERMS[:6])
def test_made_up_queries_have_terms_of_documents_in_order(documents, n_terms):
    queries = made_up(documents, n_terms, 0)
    dense = to_dense(queries, V)
    assert len(dense) == 256
    assert ((dense > 0).sum(axis=1) == n_terms).all()
    for row in np.split(queries.columns, queries.offsets[1:-1]):
        assert (np.diff(row) > 0).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(index, documents):
    first, again, other = (calibrate(index.blocks, documents, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_queries_are_told_apart_by_the_bits_of_their_length():
    rows = batch([[1, 0, 0, 0], [1, 1, 0, 0], [1, 2, 3, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).rows
    assert of_length(rows, 2).weights.tolist() == [1, 1, 1, 2, 3]
    assert of_length(rows, 2).offsets.tolist() == [0, 2, 5]
    assert of_length(rows, 5).offsets.tolist() == [0]


def test_a_stored_calibration_is_used(index):
    kept = dict(index.arrays)
    made = np.zeros(SHAPE, np.float32)
    made[..., :3] = 1
    index.arrays["calibration"] = made.reshape(-1)
    try:
        chosen = Searcher(index, "approximate", recall=0.9).strategy_object.calibration(10)
    finally:
        index.arrays = kept
    assert {share for share, _ in chosen.values()} == {float(SHARES[2])}


def test_tiny_collections_can_be_calibrated():
    documents = random_batch(0, 5, 20)
    index = InvertedIndex.from_csr(documents)
    assert (calibrate(index.blocks, read_only_rows(documents.rows))[1, :, 1:] == 0).all()
