import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splade.indexing import IndexAppender, InvertedIndex, delete, merge
from splade.kernels.sparse import to_dense
from splade.search import Searcher
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import batch, brute_force, dense_matrices, random_batch


def stored(path, *matrices):
    InvertedIndex.from_csr(batch(matrices[0])).save(path)
    for matrix, first in zip(matrices[1:], np.cumsum([len(m) for m in matrices]).tolist(), strict=False):
        appender = IndexAppender(path)
        appender.add(batch(matrix, first=first))
        appender.finish()
    return InvertedIndex.open(path)


@given(
    matrices=st.lists(dense_matrices(max_rows=8, ties=True), min_size=1, max_size=3),
    queries=dense_matrices(max_rows=3, ties=True),
    k=st.sampled_from([1, 3, 50]),
    threshold=st.sampled_from([0.0, 1.0]),
    filtered=st.booleans(),
    data=st.data(),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_index_in_parts_is_searched_as_one_without_the_deleted(
    tmp_path, matrices, queries, k, threshold, filtered, data
):
    stored(tmp_path / "index", *matrices)
    everything = np.concatenate(matrices)
    n = len(everything)
    gone = data.draw(st.sets(st.integers(0, n - 1))) if n else set()
    delete(tmp_path / "index", [f"d{doc}" for doc in gone])
    live = ~np.isin(np.arange(n), sorted(gone))
    allowed = np.arange(n) % 3 != 0 if filtered else None
    expected = brute_force(everything, queries, k, threshold, live & allowed if filtered else live)
    index = InvertedIndex.open(tmp_path / "index")
    for strategy in ("auto", "exhaustive", "block_max", "reference"):
        found = Searcher(index, strategy).search_csr(batch(queries), k, threshold=threshold, allowed=allowed)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.thinned(3)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_merging_changes_no_ranking(tmp_path, strategy):
    parts = [to_dense(random_batch(seed, 300, 40).rows, 40) for seed in range(2)]
    stored(tmp_path / "index", *parts)
    delete(tmp_path / "index", [f"d{doc}" for doc in range(0, 600, 5)])
    queries = random_batch(9, 20, 40, prefix="q")
    before = list(Searcher(InvertedIndex.open(tmp_path / "index"), strategy).search(queries, 10, n_threads=2))
    after = list(Searcher(merge(tmp_path / "index"), strategy).search(queries, 10))
    for one, two in zip(before, after, strict=True):
        assert one.doc_ids == two.doc_ids
        np.testing.assert_array_equal(one.scores, two.scores)


def test_terms_that_came_later_are_found_where_they_are(tmp_path):
    InvertedIndex.from_csr(batch([[1, 2]]), vocabulary=["a", "b"]).save(tmp_path / "index")
    appender = IndexAppender(tmp_path / "index")
    appender.vocabulary.add("c")
    appender.add(batch([[0, 1, 5]], first=1))
    docs, scores = Searcher(appender.finish()).search_csr(batch([[0, 1, 1], [0, 0, 1]]), 2)
    assert docs.tolist() == [[1, 0], [1, -1]]
    assert scores.tolist() == [[6, 2], [5, 0]]


def test_work_is_counted_over_all_parts(tmp_path):
    index = stored(tmp_path / "index", np.ones((3, 2)), np.ones((4, 2)))
    assert Searcher(index, "exhaustive").count(batch([[1, 1]]), 1).postings.tolist() == [14]
