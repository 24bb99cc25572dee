import numpy as np
import pytest

from splade.files import InputError
from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.format.choices import Shape
from splade.search import Searcher
from splade.search.strategies.two_step import shortened
from tests.kernels.cases import batch, random_batch
from tests.sampled import sampled

N, V = 6000, 200


def topical(seed, n, n_terms):
    """Vectors that share terms by topic, so that blocks differ."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).random((40, V)) ** 8
    matrix = centres[rng.integers(0, 40, n)] * rng.gamma(1, 1, (n, V))
    matrix *= matrix >= -np.sort(-matrix, axis=1)[:, n_terms - 1 : n_terms]
    return batch(matrix.astype(np.float32))


@pytest.fixture(scope="module")
def index():
    return InvertedIndex.from_csr(topical(1, N, 30), cluster=True, shape=Shape(9, 6))


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("recall", "n_terms"), sampled([(0.99, 20), (0.99, 5), (0.9, 20), (0.9, 5)]))
def test_recall_is_what_was_asked_on_other_queries(index, recall, n_terms):
    queries = topical(2, 200, n_terms)
    exact = Searcher(index, "exhaustive").search_csr(queries, 10)[1]
    docs, scores = Searcher(index, "approximate", recall=recall).search_csr(queries, 10)
    assert (scores >= exact[:, -1:]).mean() >= recall - 0.01
    assert (docs >= 0).all()


def test_less_recall_is_less_work():
    index, queries = InvertedIndex.from_csr(topical(1, 80_000, 30), cluster=True), topical(3, 50, 20)
    postings = [Searcher(index, "approximate", recall=r).count(queries, 10).postings.sum() for r in (0.7, 1.0)]
    assert postings[0] < 0.9 * postings[1]


def test_full_recall_is_exact_where_the_sample_allows_nothing_less(index):
    queries = topical(4, 50, 20)
    found = Searcher(index, "approximate", recall=1.0, queries=queries).search_csr(queries, 10)
    exact = Searcher(index, "exhaustive").search_csr(queries, 10)
    assert (found[1] == exact[1]).all()


def test_calibration_tells_shares_and_recall(index):
    engine = Searcher(index, "approximate", recall=0.95)
    chosen = engine.strategy_object.calibration(10)
    assert set(chosen) == {1, 3, 7, 15, 31, 63, 127, 255}
    assert all(0 < share <= 1 and recall >= 0.95 for share, recall in chosen.values())


def test_scores_are_those_of_the_whole_query(index):
    queries = topical(5, 30, 25)
    for strategy in ("approximate", "two_step"):
        docs, scores = Searcher(index, strategy).search_csr(queries, 5)
        everything = Searcher(index, "exhaustive").search_csr(queries, N)
        for q in range(30):
            known = dict(zip(everything[0][q].tolist(), everything[1][q].tolist(), strict=True))
            assert [known[doc] for doc in docs[q].tolist()] == scores[q].tolist()


def test_two_steps_find_everything_when_nothing_is_cut(index):
    queries = topical(6, 40, 12)
    found = Searcher(index, "two_step", terms=12, depth=1).search_csr(queries, 20)
    exact = Searcher(index, "exhaustive").search_csr(queries, 20)
    assert (found[0] == exact[0]).all()
    assert (found[1] == exact[1]).all()


def test_two_steps_respect_filters_and_thresholds(index):
    queries = topical(7, 20, 12)
    allowed = np.arange(N) % 2 == 0
    docs, scores = Searcher(index, "two_step").search_csr(queries, 10, threshold=1.0, allowed=allowed)
    assert (docs[docs >= 0] % 2 == 0).all()
    assert (scores[docs >= 0] > 1).all()


def test_a_shortened_query_keeps_its_heaviest_terms_in_order():
    rows = batch([[3, 1, 2, 0], [0, 0, 0, 1], [0, 0, 0, 0]]).rows
    assert shortened(rows, 0, 3, 2).columns.tolist() == [0, 2, 3]
    assert shortened(rows, 1, 3, 2).offsets.tolist() == [0, 1, 1]


def test_impossible_options_are_refused(index):
    with pytest.raises(ValueError, match="recall must be above 0"):
        Searcher(index, "approximate", recall=0)
    with pytest.raises(ValueError, match="at least 1, got terms=0"):
        Searcher(index, "two_step", terms=0)
    with pytest.raises(InputError, match="queries over 7 terms"):
        Searcher(index, "approximate", queries=random_batch(0, 3, 7))


def test_small_collections_are_searched_exactly():
    small = InvertedIndex.from_csr(random_batch(8, 300, 30))
    queries = random_batch(9, 10, 30)
    exact = Searcher(small, "reference").search_csr(queries, 10)
    found = Searcher(small, "approximate", recall=0.5).search_csr(queries, 10)
    assert (found[0] == exact[0]).all()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("recall", sampled([0.99, 0.9]))
def test_what_a_stored_calibration_promises_holds_on_other_queries(tmp_path, recall):
    builder = IndexBuilder(tmp_path / "index", V, cluster=True, shape=Shape(9, 6))
    builder.add(topical(1, N, 30))
    stored = builder.finish()
    assert "calibration" in stored.arrays
    queries = topical(2, 300, 20)
    exact = Searcher(stored, "exhaustive").search_csr(queries, 10)[1]
    scores = Searcher(stored, "approximate", recall=recall).search_csr(queries, 10)[1]
    assert (scores >= exact[:, -1:]).mean() >= recall - 0.01
