from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.kernels.sparse import to_dense
from splade.search import Searcher
from tests.kernels.cases import batch, brute_force, dense_matrices, random_batch


def searcher(documents, **options):
    return Searcher(InvertedIndex.from_csr(batch(documents)), strategy="reference", **options)


@given(
    documents=st.booleans().flatmap(lambda ties: dense_matrices(max_rows=14, ties=ties)),
    queries=st.booleans().flatmap(lambda ties: dense_matrices(max_rows=4, ties=ties)),
    k=st.integers(1, 20),
    threshold=st.sampled_from([0.0, 1.0, 2.5]),
    range_docs=st.sampled_from([1, 3, 64, 1000]),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_search_equals_dense_brute_force(documents, queries, k, threshold, range_docs, data):
    allowed = data.draw(st.one_of(st.none(), st.lists(st.booleans(), min_size=len(documents), max_size=len(documents))))
    allowed = None if allowed is None else np.array(allowed, bool)
    expected = brute_force(documents, queries, k, threshold, allowed)
    found = searcher(documents, range_docs=range_docs).search_csr(
        batch(queries).rows, k, threshold=threshold, allowed=allowed
    )
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])  # the same bits: the order of the sum is part of the promise


@pytest.mark.parametrize("k", [1, 7, 1000, 5000])
@pytest.mark.parametrize("range_docs", [100, 65536])
def test_search_equals_brute_force_where_the_pool_of_candidates_overflows(k, range_docs):
    documents, queries = to_dense(random_batch(1, 3000, 40).rows, 40), to_dense(random_batch(2, 5, 40).rows, 40)
    found = searcher(documents, range_docs=range_docs).search_csr(batch(queries), k)
    expected = brute_force(documents, queries, k)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_documents_in_ascending_order_of_score_are_all_considered():
    documents = np.arange(1, 5001, dtype=np.float32)[:, None]
    docs, scores = searcher(documents).search_csr(batch([[2.0]]), 3)
    assert docs.tolist() == [[4999, 4998, 4997]]
    assert scores.tolist() == [[10000, 9998, 9996]]


def test_among_equal_scores_the_first_documents_win():
    docs, _ = searcher(np.ones((4000, 1))).search_csr(batch([[1.0]]), 1500)
    assert docs.tolist() == [list(range(1500))]


def test_results_do_not_depend_on_threads_or_on_the_batch():
    documents, queries = random_batch(3, 2000, 60), random_batch(4, 300, 60, prefix="q")
    engine = Searcher(InvertedIndex.from_csr(documents))
    docs, scores = engine.search_csr(queries, 20)
    for n_threads in (2, 5):
        again = engine.search_csr(queries, 20, n_threads=n_threads)
        assert (again[0] == docs).all()
        assert (again[1] == scores).all()
    alone = engine.search_csr(batch(to_dense(queries.rows, 60)[7:8]), 20)
    assert (alone[0][0] == docs[7]).all()
    assert (alone[1][0] == scores[7]).all()


def test_one_searcher_serves_many_python_threads_at_once():
    engine = Searcher(InvertedIndex.from_csr(random_batch(5, 2000, 60)))
    queries = [random_batch(seed, 40, 60) for seed in range(8)]
    expected = [engine.search_csr(part, 10) for part in queries]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda part: engine.search_csr(part, 10, n_threads=2), queries))
    for one, other in zip(found, expected, strict=True):
        assert (one[0] == other[0]).all()
        assert (one[1] == other[1]).all()


def test_slots_without_a_document_hold_minus_one_and_zero():
    docs, scores = searcher([[1, 0], [0, 0], [0, 1]]).search_csr(batch([[2, 0], [0, 0]]), 4)
    assert docs.tolist() == [[0, -1, -1, -1], [-1] * 4]
    assert scores.tolist() == [[2, 0, 0, 0], [0] * 4]
    assert (docs.dtype, scores.dtype) == (np.int32, np.float32)


def test_the_threshold_is_exceeded_strictly():
    docs, _ = searcher([[1.0], [2.0], [3.0]]).search_csr(batch([[1.0]]), 3, threshold=2.0)
    assert docs.tolist() == [[2, -1, -1]]
    assert (searcher([[1.0]]).search_csr(batch([[1.0]]), 3, threshold=1e300)[0] == -1).all()


def test_an_empty_collection_answers_nothing():
    docs, scores = searcher(np.zeros((0, 3))).search_csr(batch([[1, 1, 1]]), 2)
    assert docs.tolist() == [[-1, -1]]
    assert scores.tolist() == [[0, 0]]


def test_no_queries_give_no_rows():
    docs, _ = searcher([[1.0]]).search_csr(batch(np.zeros((0, 1))), 3)
    assert docs.shape == (0, 3)


def test_scores_beyond_float32_are_infinite_and_come_first():
    docs, scores = searcher([[1.0], [3e38]]).search_csr(batch([[1e10]]), 2)
    assert docs.tolist() == [[1, 0]]
    assert scores[0, 0] == np.inf


def test_rankings_carry_string_ids_and_may_be_empty():
    found = list(searcher([[1, 0], [3, 1]]).search(batch([[1, 0], [0, 0], [0, 2]], prefix="q"), k=5))
    assert [(ranking.query_id, list(ranking.doc_ids), ranking.scores.tolist()) for ranking in found] == [
        ("q0", ["d1", "d0"], [3, 1]),
        ("q1", [], []),
        ("q2", ["d1"], [2]),
    ]


def test_many_queries_are_answered_in_order(monkeypatch):
    monkeypatch.setattr("splade.search.searcher.BATCH", 7)
    queries = random_batch(6, 40, 9, prefix="q")
    engine = Searcher(InvertedIndex.from_csr(random_batch(7, 50, 9)))
    docs, _ = engine.search_csr(queries, 5)
    rankings = list(engine.search(queries, k=5))
    assert [ranking.query_id for ranking in rankings] == list(queries.ids)
    for ranking, row in zip(rankings, docs, strict=True):
        assert list(ranking.doc_ids) == [f"d{doc}" for doc in row if doc >= 0]


def test_a_filter_may_be_booleans_numbers_or_ids():
    engine = searcher([[3.0], [2.0], [1.0]])
    for allowed in ([False, True, True], np.array([2, 1]), ["d2", "d1"]):
        assert engine.search_csr(batch([[1.0]]), 2, allowed=allowed)[0].tolist() == [[1, 2]]
    assert engine.search_csr(batch([[1.0]]), 1, allowed=[])[0].tolist() == [[-1]]
    assert [list(r.doc_ids) for r in engine.search(batch([[1.0]]), allowed=["d2"])] == [["d2"]]


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        ([True], "1 booleans for 3 documents"),
        ([3], r"document numbers in \[0, 3\)"),
        ([-1], r"document numbers in \[0, 3\)"),
        ([0.5], "document numbers"),
        (["d1", "nobody"], "'nobody'"),
        ([[0]], "flat"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(allowed, words):
    with pytest.raises(ValueError, match=words):
        searcher([[3.0], [2.0], [1.0]]).search_csr(batch([[1.0]]), allowed=allowed)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"n_threads": 0}, {"threshold": -1.0}, {"threshold": float("nan")}])
def test_impossible_arguments_are_refused_before_anything_is_searched(arguments):
    with pytest.raises(ValueError, match="must be"):
        searcher([[1.0]]).search(batch([[1.0]]), **arguments)


def test_queries_of_another_vocabulary_are_refused():
    with pytest.raises(InputError, match="queries over 2 terms cannot search an index over 3 terms"):
        searcher([[1, 1, 1]]).search(batch([[1, 1]]))
    with pytest.raises(ValueError, match=r"row 0: columns must be in \[0, 3\), got 3"):
        searcher([[1, 1, 1]]).search_csr(batch([[0, 0, 0, 1]]).rows)


def test_a_scipy_matrix_may_be_searched_and_indexed():
    documents, queries = to_dense(random_batch(8, 30, 12).rows, 12), to_dense(random_batch(9, 4, 12).rows, 12)
    index = InvertedIndex.from_csr(scipy.sparse.csr_matrix(documents.astype(np.float64)))
    docs, _ = Searcher(index).search_csr(scipy.sparse.csr_array(queries), 6)
    np.testing.assert_array_equal(docs, brute_force(documents, queries, 6)[0])
    assert list(index.doc_ids) == [str(doc) for doc in range(30)]


def test_unknown_strategies_and_options_are_named_with_the_known_ones():
    index = InvertedIndex.from_csr(batch([[1.0]]))
    names = "auto, exhaustive, block_max, approximate, two_step, reference, or the dotted path of a class"
    with pytest.raises(ValueError, match=f"{names}, got 'quick'"):
        Searcher(index, strategy="quick")
    with pytest.raises(ValueError, match="range_docs, got 'speed'"):
        Searcher(index, strategy="reference", speed=2)
