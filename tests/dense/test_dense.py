"""Exact dense search against brute force; ties, filters, threads, blocks; stored whole or not at all."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from splade.dense import search as dense
from splade.dense.index import FOLDER, DenseBatch, DenseIndex, write_dense
from splade.dense.search import DenseSearcher
from splade.files import InputError
from splade.indexing import CorruptIndexError

WHOLE = st.integers(-3, 3).map(float)  # sums of products of these are exact, and ties many


def ids(n):
    return [f"d{number}" for number in range(n)]


def brute(documents, queries, k, threshold=-np.inf, allowed=None):
    """Every score in Python, sorted by score and then by number."""
    found = []
    for query in queries.tolist():
        scores = [sum(a * b for a, b in zip(query, document, strict=True)) for document in documents.tolist()]
        ranked = sorted(range(len(scores)), key=lambda doc: (-scores[doc], doc))
        kept = [doc for doc in ranked if scores[doc] > threshold and (allowed is None or doc in allowed)]
        found.append([(doc, scores[doc]) for doc in kept[:k]])
    return found


def searched(index, queries, k, **options):
    docs, scores = DenseSearcher(index).best(queries, k, **options)
    return [
        [(doc, score) for doc, score in zip(*row, strict=True) if doc >= 0]
        for row in zip(docs.tolist(), scores.tolist(), strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=WHOLE),
    arrays(np.float32, st.tuples(st.integers(0, 5), st.just(3)), elements=WHOLE),
    st.integers(1, 35),
    st.sampled_from([-np.inf, -2.0, 0.0, 4.0]),
    st.sampled_from([1, 3]),
    st.sampled_from(["float32", "float16"]),
)
def test_rankings_are_those_of_brute_force(documents, queries, k, threshold, n_threads, dtype):
    index = DenseIndex.from_matrix(documents.astype(dtype), ids(len(documents)))
    former, dense.BLOCK = dense.BLOCK, 3 * 4 * 7  # seven documents
    try:
        found = searched(index, queries, k, threshold=threshold, n_threads=n_threads)
    finally:
        dense.BLOCK = former
    assert found == brute(documents, queries, k, threshold)


def test_blocks_threads_and_batches_change_no_ranking_of_real_numbers(monkeypatch):
    rng = np.random.default_rng(0)
    documents, queries = (rng.standard_normal((n, 16)).astype(np.float32) for n in (500, 70))
    index = DenseIndex.from_matrix(documents, ids(500))
    expected = np.argsort(-(queries.astype(np.float64) @ documents.T.astype(np.float64)), axis=1)[:, :10]
    for block, n_threads in ((1, 1), (16 * 4 * 33, 4), (1 << 20, 2)):
        monkeypatch.setattr(dense, "BLOCK", block)
        docs, scores = DenseSearcher(index).best(queries, 10, n_threads=n_threads)
        assert (docs == expected).all()
        assert (np.diff(scores) <= 0).all()


def test_a_ranking_has_string_ids_and_scores_best_first():
    index = DenseIndex.from_matrix(np.array([[1, 0], [0, 2], [-1, 0]], np.float32), ["a", "b", "c"])
    [ranking] = DenseSearcher(index).search(["q"], np.array([[3, 1]], np.float32))
    assert ranking.query_id == "q"
    assert ranking.doc_ids == ["a", "b", "c"]
    assert ranking.scores.tolist() == [3, 2, -3]


@pytest.mark.parametrize("allowed", [[2, 0], ["c", "a"], np.array([True, False, True, False])])
def test_only_allowed_documents_are_returned(allowed):
    index = DenseIndex.from_matrix(np.ones((4, 2), np.float32), ["a", "b", "c", "d"])
    assert searched(index, np.ones((1, 2), np.float32), 3, allowed=allowed) == [[(0, 2.0), (2, 2.0)]]


def test_what_cannot_be_searched_is_refused():
    searcher = DenseSearcher(DenseIndex.from_matrix(np.ones((4, 2), np.float32), ids(4)))
    with pytest.raises(InputError, match="cannot search vectors of 2 numbers"):
        searcher.best(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="NaN or infinite"):
        searcher.best(np.array([[np.nan, 0]], np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        searcher.best(np.ones((1, 2), np.float32), k=0)
    with pytest.raises(InputError, match="does not hold: 'x'"):
        searcher.best(np.ones((1, 2), np.float32), allowed=["x"])


def stored(folder, matrix, **options):
    batches = [DenseBatch(tuple(ids(len(matrix))[i : i + 3]), matrix[i : i + 3]) for i in range(0, len(matrix), 3)]
    return write_dense(folder, batches, matrix.shape[1], **options)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("n_docs", [0, 1, 8])
def test_a_stored_index_comes_back_as_it_was(tmp_path, dtype, n_docs):
    matrix = np.random.default_rng(1).standard_normal((n_docs, 4)).astype(np.float32)
    written = stored(tmp_path, matrix, dtype=dtype, fingerprint="abc", metadata={"collection": "x"})
    opened = DenseIndex.open(tmp_path, verify=True)
    for index in (written, opened):
        assert (index.vectors == matrix.astype(dtype)).all()
        assert index.vectors.dtype == dtype
        assert list(index.doc_ids) == ids(n_docs)
        assert (index.fingerprint, index.metadata, index.width) == ("abc", {"collection": "x"}, 4)


def test_a_build_that_fails_leaves_nothing_or_the_older_index(tmp_path):
    def failing():
        yield DenseBatch(("a",), np.ones((1, 2), np.float32))
        raise KeyboardInterrupt

    for older in (False, True):
        if older:
            stored(tmp_path, np.ones((3, 2), np.float32))
        with pytest.raises(KeyboardInterrupt):
            write_dense(tmp_path, failing(), 2)
        assert [path.name for path in tmp_path.iterdir()] == [FOLDER] * older
    assert DenseIndex.open(tmp_path).n_docs == 3


def test_damage_is_told(tmp_path):
    stored(tmp_path, np.ones((3, 2), np.float32))
    vectors = tmp_path / FOLDER / "vectors.bin"
    vectors.write_bytes(b"\1" + vectors.read_bytes()[1:])
    with pytest.raises(CorruptIndexError, match=r"vectors\.bin: checksum"):
        DenseIndex.open(tmp_path)
    vectors.write_bytes(vectors.read_bytes()[:-1])
    with pytest.raises(CorruptIndexError, match="24 bytes expected, 23 found"):
        DenseIndex.open(tmp_path)
    header = tmp_path / FOLDER / "header.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"width": 3}))
    with pytest.raises(CorruptIndexError, match="the header was changed"):
        DenseIndex.open(tmp_path)


def test_vectors_that_cannot_be_kept_are_refused(tmp_path):
    with pytest.raises(ValueError, match="kept in float32 or float16"):
        stored(tmp_path, np.ones((1, 2), np.float32), dtype="uint8")
    with pytest.raises(ValueError, match="larger than 65504"):
        stored(tmp_path, np.full((1, 2), 1e6, np.float32), dtype="float16")
    with pytest.raises(InputError, match="'a' occurs twice"):
        write_dense(tmp_path, [DenseBatch(("a", "a"), np.ones((2, 2), np.float32))], 2)
    assert not list(tmp_path.iterdir())
