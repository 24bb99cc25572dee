import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.layout.blocked import Shape
from splade.indexing.layout.calibration import QUERY_TERMS, calibrate, made_up, of_length, recall_of
from splade.indexing.layout.promise import K_GRID, SHAPE, SHARES, from_arrays, to_arrays
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


def positions_of(blocks):
    positions = np.empty(int(blocks.n_docs), np.uint32)
    positions[blocks.order] = np.arange(int(blocks.n_docs), dtype=np.uint32)
    return read_only(positions)


def test_all_is_found_where_bounds_are_taken_whole_and_less_where_they_are_not(index, documents):
    made = calibrate(index.blocks, documents)
    assert made.promised.shape == made.measured.shape == SHAPE
    assert (made.promised[:, :, 0] == 1).all()
    assert (np.diff(made.measured, axis=2) <= 1e-6).all()
    assert (made.promised[:, :, 1:] < made.measured[:, :, 1:] + 1e-6).all(), "less is promised than was measured"
    assert (made.measured[:3, 2, -1] < 0.9).all()


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
    made = calibrate(index.blocks, queries=queries)
    # k=1: the bar is 8, the bound of its block 8: any share below 1 loses it
    assert made.measured[0, 1].tolist() == [1.0] + [0.0] * (len(SHARES) - 1)
    # fewer than k=10 documents match: all are found
    assert (made.measured[1, 1] == 1).all()
    assert (made.promised[1, 0, 1:] == 0).all(), "no query of one term: nothing but share 1 is known"


def test_measured_recall_is_at_most_that_of_a_search_with_the_share(index, documents):
    queries = made_up(documents, 12, 3)
    measured = calibrate(index.blocks, queries=queries).measured[K_GRID.index(10), 3]
    exact = Searcher(index, "exhaustive").search_csr(queries, 10)[1]
    for share in SHARES[5::8]:
        engine = Searcher(index, "block_max")
        engine.strategy_object._shares = read_only(np.full(33, share, np.float32))
        found = (engine.search_csr(queries, 10)[1] >= exact[:, -1:]).mean()
        assert measured[list(SHARES).index(share)] <= found + 1e-6


def test_the_recall_of_a_query_is_the_same_for_any_number_of_threads(index, documents):
    queries = made_up(documents, 8, 1)
    one, three = (recall_of(index.blocks, queries, (1, 10), positions_of(index.blocks), n) for n in (1, 3))
    assert one.shape == (2, 256, len(SHARES))
    assert (one == three).all()


@pytest.mark.parametrize("k", [1, 10, 100])
def test_made_up_queries_find_less_at_every_share_than_those_that_are_like_the_documents(index, k):
    """The direction that a promise needs, on queries of the same topics as the documents, of equal length."""
    asked = topical(2, 300, 20)
    lengths = np.diff(asked.rows.offsets)
    real = calibrate(index.blocks, queries=read_only_rows(asked.rows))
    made = calibrate(index.blocks, read_only_rows(index.vectors(np.arange(0, N, 6))))
    group = 4
    assert real.n_own[group] == ((lengths >= 16) & (lengths < 32)).sum() > 250
    place = K_GRID.index(k)
    judged = made.measured[place, group] > 0.8
    assert (made.measured[place, group] <= real.measured[place, group] + 0.002)[judged].all()


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
    first, again, other = (calibrate(index.blocks, documents, seed=seed).measured for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_queries_are_told_apart_by_the_bits_of_their_length():
    rows = batch([[1, 0, 0, 0], [1, 1, 0, 0], [1, 2, 3, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).rows
    assert of_length(rows, 1).weights.tolist() == [1, 1, 1, 2, 3]
    assert of_length(rows, 1).offsets.tolist() == [0, 2, 5]
    assert of_length(rows, 4).offsets.tolist() == [0]
    long = read_only_rows(batch(np.ones((1, 700))).rows)
    assert len(of_length(long, 7).offsets) == 2, "the last group has all longer ones too"


def test_a_calibration_is_stored_and_read_back_and_one_of_an_earlier_version_is_not_trusted(index, documents):
    made = calibrate(index.blocks, documents)
    arrays = to_arrays(made)
    again = from_arrays(arrays)
    assert (again.promised == made.promised).all()
    assert (again.n_used == made.n_used).all()
    assert again.said == "queries made up from documents"
    assert from_arrays({"calibration": arrays["calibration"]}) is None
    assert from_arrays({**arrays, "calibration": np.ones(7, np.float32)}) is None


def test_tiny_collections_can_be_calibrated():
    documents = random_batch(0, 5, 20)
    index = InvertedIndex.from_csr(documents)
    made = calibrate(index.blocks, read_only_rows(documents.rows))
    assert (made.promised[1:, :, 1:] == 0).all(), "there are no 10 documents"
    assert (made.promised[0, :, 1:] < 0.6).all(), "five queries allow little"
