"""``index.explain``: a score is the sum of its terms, with the weights that the index keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from splade import Searcher
from splade.files import InputError
from splade.indexing import IndexAppender, InvertedIndex, delete
from splade.kernels.sparse import from_dense
from splade.records import SparseBatch

WIDTH = 7


def batch(vectors, ids=None):
    rows = from_dense(np.asarray(vectors, np.float32))
    return SparseBatch(tuple(ids or map(str, range(len(vectors)))), rows, WIDTH)


matrices = st.integers(1, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from((0.0, 0.0, 0.1, 0.37, 1.5, 2.25)), min_size=WIDTH, max_size=WIDTH),
        min_size=n,
        max_size=n,
    )
)


@pytest.mark.parametrize("weights", ["float32", "uint8", pytest.param("float16", marks=pytest.mark.slow)])
@given(documents=matrices, query=st.lists(st.sampled_from((0.0, 0.3, 1.1)), min_size=WIDTH, max_size=WIDTH))
@settings(max_examples=20)
def test_the_score_is_that_of_a_search_to_the_last_bit(documents, query, weights):
    index = InvertedIndex.from_csr(batch(documents), weights=weights)
    asked = batch([query])
    docs, scores = Searcher(index).search_csr(asked, k=len(documents))
    found = dict(zip(docs[0].tolist(), scores[0].tolist(), strict=True))
    for doc in range(len(documents)):
        explained = index.explain(asked, doc)
        assert explained.score == found.get(doc, 0.0)
        assert explained.score == pytest.approx(float(explained.products.sum(dtype=np.float64)), rel=1e-5)
        held = index.vectors([doc])
        assert explained.document_weights.tolist() == [
            dict(zip(held.columns, held.weights, strict=True))[term] for term in explained.terms
        ]


def test_weights_are_the_quantised_ones_and_missing_terms_are_told():
    index = InvertedIndex.from_csr(batch([[255.0, 100.4, 0, 0, 0, 3, 0]], ["d"]), weights="uint8", vocabulary="abcdefg")
    found = index.explain(csr_array([[2.0, 1.0, 5.0, 0, 0, 0, 0]]), "d")
    assert found.to_dict() == {
        "doc_id": "d",
        "score": 610.0,
        "terms": [
            {"token": "a", "query_weight": 2.0, "document_weight": 255.0, "product": 510.0},
            {"token": "b", "query_weight": 1.0, "document_weight": 100.0, "product": 100.0},
        ],
        "missing": ["c"],
    }


def test_a_query_without_a_shared_term_scores_0():
    index = InvertedIndex.from_csr(batch([[1.0, 0, 0, 0, 0, 0, 0]]))
    found = index.explain(batch([[0, 1.0, 0, 0, 0, 0, 0]]), 0)
    assert (found.score, found.terms.size, found.missing.tolist()) == (0.0, 0, [1])


def test_documents_of_an_index_in_parts_are_explained_and_deleted_ones_are_not(tmp_path):
    InvertedIndex.from_csr(batch([[1.0, 0, 0, 0, 0, 0, 0], [2.0, 0, 0, 0, 0, 0, 0]], ["a", "b"])).save(tmp_path)
    appender = IndexAppender(tmp_path)
    appender.add(batch([[0, 3.0, 0, 0, 0, 0, 0]], ["c"]))
    appender.finish()
    delete(tmp_path, ["b"])
    index = InvertedIndex.open(tmp_path)
    query = batch([[1.0, 1.0, 0, 0, 0, 0, 0]])
    assert [index.explain(query, doc).score for doc in ("a", "c")] == [1.0, 3.0]
    with pytest.raises(InputError, match=r"there is no document 'b' in it"):
        index.explain(query, "b")


def test_a_document_beyond_the_first_range_is_found():
    n_docs = (1 << 15) + 5
    index = InvertedIndex.from_csr(csr_array(np.arange(1, n_docs + 1, dtype=np.float32)[:, None]))
    assert [index.explain(csr_array([[1.0]]), doc).score for doc in (0, 5, n_docs - 1)] == [1.0, 6.0, n_docs]


@pytest.mark.parametrize(
    ("query", "doc", "error", "told"),
    [
        (csr_array([[1.0, 1.0]]), 0, InputError, "queries over 2 terms cannot search an index over 7 terms"),
        (batch([[1.0] * WIDTH] * 2), 0, ValueError, "one query is explained at a time, got 2 rows"),
        (batch([[1.0] * WIDTH]), 1, IndexError, r"document numbers must be in \[0, 1\), got 1"),
        (batch([[1.0] * WIDTH]), "x", InputError, "the index: there is no document 'x' in it"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_words(query, doc, error, told):
    index = InvertedIndex.from_csr(batch([[1.0] * WIDTH]))
    with pytest.raises(error, match=told):
        index.explain(query, doc)
