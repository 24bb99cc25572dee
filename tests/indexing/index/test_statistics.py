import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.index.inverted_index import FOLDER
from splade.indexing.index.statistics import expected_flops, posting_counts, statistics
from tests.kernels.cases import batch

DOCUMENTS = [[1, 0, 2], [0, 0, 0], [0, 0, 5], [0, 0, 1]]


def test_statistics_of_a_collection_counted_by_hand(tmp_path):
    index = InvertedIndex.from_csr(batch(DOCUMENTS))
    index.save(tmp_path / "index")
    size = sum(file.stat().st_size for file in (tmp_path / "index" / FOLDER).glob("*.bin"))
    assert statistics(index) == {
        "L0_d": 1.0,
        "n_docs": 4,
        "n_postings": 4,
        "vocab_size": 3,
        "empty_docs": 1,
        "index_bytes": size,
    }


def test_statistics_of_an_empty_collection_are_zero():
    assert statistics(InvertedIndex.from_csr(batch(np.zeros((0, 3)))))["L0_d"] == 0.0


def test_posting_counts_are_document_frequencies():
    assert posting_counts(InvertedIndex.from_csr(batch(DOCUMENTS))).tolist() == [1, 0, 3]


def test_expected_flops_worked_by_hand():
    # term 0: half the queries, a quarter of the documents; term 2: all queries, three quarters
    assert expected_flops(np.array([1, 0, 3]), 4, np.array([1, 1, 2]), 2) == 0.5 * 0.25 + 1.0 * 0.75


def test_expected_flops_are_the_mean_over_all_pairs_of_shared_terms():
    rng = np.random.default_rng(0)
    documents, queries = rng.random((20, 9)) < 0.3, rng.random((6, 9)) < 0.4
    shared = (queries.astype(int) @ documents.T.astype(int)).mean()
    assert expected_flops(documents.sum(0), 20, queries.sum(0), 6) == pytest.approx(shared)


def test_flops_of_unlike_vocabularies_or_of_nothing_are_refused():
    with pytest.raises(ValueError, match="one vocabulary"):
        expected_flops(np.zeros(3), 1, np.zeros(4), 1)
    with pytest.raises(ValueError, match="n_docs=0"):
        expected_flops(np.zeros(3), 0, np.zeros(3), 1)
