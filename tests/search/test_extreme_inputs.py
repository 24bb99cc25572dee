"""Searches at the edges: weights beyond float32, far more results than documents, one row, no column, any filter."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from splade.dense import search as dense
from splade.dense.index import DenseIndex
from splade.dense.search import DenseSearcher
from splade.files import InputError
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.kernels.sparse import from_matrix, to_dense
from splade.search import Searcher, searcher
from splade.search.overflow import refuse_overflow
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import batch, random_batch

MIB = 1 << 20


def peak(work):
    """The most bytes that ``work`` holds at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_score_beyond_float32_is_told_with_query_and_document():
    engine = Searcher(InvertedIndex.from_csr(batch([[1.0, 1.0], [3e38, 0.0]])))
    with pytest.raises(
        InputError, match=r"score of query 'q1' \(weights up to 2\) and document 'd1' is beyond 3\.4e\+38"
    ):
        refuse_overflow(engine, batch([[1.0, 1.0], [2.0, 1.0]], prefix="q"))


def test_large_weights_whose_scores_float32_holds_are_searched():
    """Added up over all terms they would leave it, but no document has both."""
    engine = Searcher(InvertedIndex.from_csr(batch([[3e38, 0.0], [0.0, 3e38]])))
    refuse_overflow(engine, batch([[1.0, 1.0]], prefix="q"))


def test_an_overflow_in_an_appended_part_is_told(tmp_path):
    InvertedIndex.from_csr(batch([[1.0, 1.0]])).save(tmp_path / "ix")
    appender = IndexAppender(tmp_path / "ix")
    appender.add(batch([[0.0, 0.0, 3e38]], first=1))
    with pytest.raises(InputError, match="document 'd1'"):
        refuse_overflow(Searcher(appender.finish()), batch([[0.0, 0.0, 2.0]], prefix="q"))


@pytest.mark.parametrize("queries", [[[3e38, 0.0]], [[3e38, -3e38]]])
def test_dense_products_beyond_float32_are_told_and_not_left_out(queries):
    """The second one is no number: infinity less infinity, which no comparison holds for."""
    index = DenseIndex.from_matrix(np.array([[0.0, 0.0], [3e38, 3e38]], np.float32), ["d0", "d1"])
    with pytest.raises(InputError, match=r"document 'd1' is beyond 3\.4e\+38"):
        DenseSearcher(index).best(np.array(queries, np.float32))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_million_results_of_three_documents_take_the_room_of_three(strategy):
    engine = Searcher(InvertedIndex.from_csr(batch(np.eye(3))), strategy)
    queries = random_batch(0, 500, 3, prefix="q")
    list(engine.search(queries, k=3))  # once, so that machine code is there
    assert peak(lambda: [*engine.search(queries, k=10**6), engine.count(queries, k=10**6)]) < 2 * MIB
    few, many = (list(engine.search(queries, k=k)) for k in (3, 10**6))
    assert [list(ranking.doc_ids) for ranking in few] == [list(ranking.doc_ids) for ranking in many]


def test_a_million_dense_results_of_three_documents_take_the_room_of_three():
    engine = DenseSearcher(DenseIndex.from_matrix(np.eye(3, dtype=np.float32), ["a", "b", "c"]))
    queries = np.ones((500, 3), np.float32)
    ids = [f"q{i}" for i in range(500)]
    assert peak(lambda: list(engine.search(ids, queries, k=10**6))) < 4 * MIB
    docs, scores = engine.best(queries[:1], k=5)
    assert (docs.tolist(), scores.tolist()) == ([[0, 1, 2, -1, -1]], [[1, 1, 1, 0, 0]])


def test_many_results_of_many_queries_are_held_a_few_queries_at_a_time(monkeypatch):
    documents, queries = random_batch(1, 400, 20), random_batch(2, 300, 20, prefix="q")
    engine = Searcher(InvertedIndex.from_csr(documents))
    dense_engine = DenseSearcher(DenseIndex.from_matrix(to_dense(documents.rows, 20), documents.ids))
    asked = queries.ids, to_dense(queries.rows, 20)

    def answers():
        return [*engine.search(queries, k=400), *dense_engine.search(*asked, k=400, threshold=0.0)]

    expected = answers()
    for module in (searcher, dense):
        monkeypatch.setattr(module, "HELD", 2000)  # the results of five queries
    for one, other in zip(answers(), expected, strict=True):
        assert (one.query_id, list(one.doc_ids), one.scores.tolist()) == (
            other.query_id, list(other.doc_ids), other.scores.tolist()
        )  # fmt: skip
    assert peak(lambda: [None for _ in engine.search(queries, k=400)]) < MIB


def test_one_row_of_a_csr_array_is_one_vector():
    matrix = scipy.sparse.csr_array(np.array([[1.0, 0, 2], [0, 3, 0]], np.float32))
    row = scipy.sparse.csr_array(np.array([1.0, 0, 2], np.float32))
    assert row.ndim == 1
    rows, width, _ = from_matrix(row)
    assert (to_dense(rows, width) == [[1, 0, 2]]).all()
    docs, scores = Searcher(InvertedIndex.from_csr(matrix)).search_csr(row, 1)
    assert (docs.tolist(), scores.tolist()) == ([[0]], [[5]])
    assert InvertedIndex.from_csr(row).n_docs == 1


def test_other_layouts_and_counts_that_do_not_fit_are_told_apart():
    matrix = scipy.sparse.csr_array(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match=r"must be in CSR layout.*'csc'"):
        from_matrix(matrix.tocsc())
    with pytest.raises(TypeError, match=r"got coo_array: call \.tocsr\(\) first"):
        from_matrix(matrix.tocoo())
    broken = matrix.copy()
    broken.indptr = broken.indptr[:-1]
    with pytest.raises(ValueError, match=r"N \+ 1 numbers in indptr, got 3 for the shape \(3, 3\)"):
        from_matrix(broken)


@pytest.mark.parametrize("n_docs", [0, 2])
def test_a_matrix_without_columns_is_an_index_that_finds_nothing(tmp_path, n_docs):
    index = InvertedIndex.from_csr(scipy.sparse.csr_matrix((n_docs, 0), dtype=np.float32))
    assert (index.n_docs, index.vocab_size, index.empty_docs) == (n_docs, 0, n_docs)
    index.save(tmp_path / "ix")
    opened = InvertedIndex.open(tmp_path / "ix", verify=True)
    for strategy in STRATEGIES:
        docs, _ = Searcher(opened, strategy).search_csr(scipy.sparse.csr_matrix((1, 0), dtype=np.float32), 2)
        assert docs.tolist() == [[-1, -1]]
    if n_docs:
        delete(tmp_path / "ix", ["0"])
        assert merge(tmp_path / "ix").n_docs == 1


def test_a_builder_of_documents_without_terms_is_the_same_index(tmp_path):
    builder = IndexBuilder(tmp_path / "ix")
    builder.add(batch(np.zeros((2, 0))))
    assert (builder.finish().n_docs, Searcher(InvertedIndex.open(tmp_path / "ix")).index.empty_docs) == (2, 2)


@pytest.mark.parametrize(
    "allowed",
    [{"d1", "d2"}, frozenset(["d2", "d1"]), {"d1": 0, "d2": 0}, {"d1": 0, "d2": 0}.keys(), ("d1", "d2"), {1, 2},
     np.array(["d1", "d2"], object), range(1, 3), np.array([False, True, True]), (name for name in ("d1", "d2"))],
    ids=["set", "frozenset", "dict", "keys", "tuple", "numbers", "objects", "range", "bools", "generator"],
)  # fmt: skip
def test_a_filter_may_be_whatever_can_be_gone_through(allowed):
    engine = Searcher(InvertedIndex.from_csr(batch([[3.0], [2.0], [1.0]])))
    assert engine.search_csr(batch([[1.0]]), 3, allowed=allowed)[0].tolist() == [[1, 2, -1]]


def test_an_empty_set_allows_nothing_and_one_id_is_no_list_of_them():
    engine = Searcher(InvertedIndex.from_csr(batch([[3.0]])))
    assert engine.search_csr(batch([[1.0]]), 1, allowed=set())[0].tolist() == [[-1]]
    with pytest.raises(ValueError, match=r"got the single 'd0': give \['d0'\]"):
        engine.search_csr(batch([[1.0]]), 1, allowed="d0")
    with pytest.raises(InputError, match="'nobody'"):
        engine.search_csr(batch([[1.0]]), 1, allowed={"nobody"})
