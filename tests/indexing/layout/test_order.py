"""The order of documents: that in which neighbours are more alike."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from splade.indexing import InvertedIndex
from splade.indexing.layout.clustering import sums_of_bounds
from splade.indexing.layout.sources import InMemory
from splade.kernels.sparse import from_matrix
from splade.search import Searcher

N, TOPICS, V = 8192, 128, 512


@pytest.fixture(scope="module")
def texts():
    """Vectors in the order of 128 texts: the 64 passages of each have four terms of its own, and one that all share."""
    rng = np.random.default_rng(0)
    matrix = np.zeros((N, V), np.float32)
    matrix[np.arange(N)[:, None], (np.arange(N) * TOPICS // N * 4)[:, None] + np.arange(4)] = 1 + rng.random((N, 4))
    matrix[:, 0] = 1
    return matrix


def worst(order):
    """In how many texts a block has documents, at most."""
    return max(len(np.unique(block)) for block in (order.astype(int) * TOPICS // N).reshape(-1, 64))


def test_sums_of_bounds_by_hand():
    rows = from_matrix(csr_matrix(np.array([[1, 0], [2, 0], [0, 3], [0, 4.0]], np.float32))).rows
    source = InMemory(rows, 2)
    orders = (np.array([0, 1, 2, 3]), np.array([0, 2, 1, 3]))
    assert sums_of_bounds(source, orders, 2, 0) == [2 + 4, 1 + 3 + 2 + 4]


def test_sums_of_documents_without_terms_are_none():
    source = InMemory(from_matrix(csr_matrix(np.zeros((4, 2), np.float32))).rows, 2)
    assert sums_of_bounds(source, (np.arange(4), np.arange(4)[::-1]), 2, 0) == [0.0, 0.0]


def test_documents_in_a_telling_order_keep_it(texts):
    index = InvertedIndex.from_csr(csr_matrix(texts))
    np.testing.assert_array_equal(index.blocks.order, np.arange(N))


def test_shuffled_documents_are_clustered(texts):
    shuffled = np.random.default_rng(1).permutation(N)
    order = InvertedIndex.from_csr(csr_matrix(texts[shuffled])).blocks.order
    assert not np.array_equal(order, np.arange(N))
    assert worst(shuffled[order]) < worst(shuffled) / 4


def test_an_order_that_is_asked_for_is_made(texts):
    assert not np.array_equal(InvertedIndex.from_csr(csr_matrix(texts), cluster=True).blocks.order, np.arange(N))
    shuffled = texts[np.random.default_rng(1).permutation(N)]
    np.testing.assert_array_equal(
        InvertedIndex.from_csr(csr_matrix(shuffled), cluster=False).blocks.order, np.arange(N)
    )


def test_results_are_the_same_in_either_order(texts):
    queries = csr_matrix(np.random.default_rng(2).random((5, V)).astype(np.float32))
    one, other = (
        Searcher(InvertedIndex.from_csr(csr_matrix(texts), cluster=cluster)).search_csr(queries, 20)
        for cluster in (None, True)
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
