"""Searches that score parts of ranges, whole ranges and single blocks return the bits of scoring everything."""

import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.search import Searcher
from splade.search.searcher import Counts
from tests.kernels.cases import batch

N, V = 70_000, 200  # two ranges and a part of one


def topical(seed, n, n_terms, topics):
    """Vectors of the topics given: the terms of one are heavier in it, and all occur everywhere."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).random((60, V)) ** 16
    matrix = centres[topics[:n]] * rng.gamma(1, 1, (n, V))
    matrix *= matrix >= -np.sort(-matrix, axis=1)[:, n_terms - 1 : n_terms]
    return batch(matrix.astype(np.float32))


@pytest.fixture(scope="module", params=["together", "mixed"])
def case(request):
    """An index whose documents of a topic stand together, or in no order, and queries."""
    rng = np.random.default_rng(1)
    topics = np.repeat(rng.integers(0, 60, N // 1000), 1000) if request.param == "together" else rng.integers(0, 60, N)
    index = InvertedIndex.from_csr(topical(2, N, 30, topics), cluster=False)
    return request.param, index, topical(3, 30, 20, rng.integers(0, 60, 30))


@pytest.mark.parametrize("k", [1, 10, 100, 1000, 20_000])
def test_the_results_are_those_of_scoring_everything(case, k):
    _, index, queries = case
    expected = Searcher(index, "exhaustive").search_csr(queries, k)
    threshold = float(np.median(expected[1][:, -1]))
    some = np.random.default_rng(k).random(N) < 0.3
    for options in ({}, {"allowed": some}, {"threshold": threshold}):
        found = Searcher(index, "block_max").search_csr(queries, k, **options)
        wanted = Searcher(index, "exhaustive").search_csr(queries, k, **options)
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1].view(np.uint32), wanted[1].view(np.uint32))


def test_parts_are_scored_where_documents_stand_together_and_whole_ranges_where_they_do_not(case):
    kind, index, queries = case
    counts: Counts = Searcher(index, "block_max").count(queries, 100)
    everything = Searcher(index, "exhaustive").count(queries, 100).postings
    if kind == "together":
        assert counts.postings.sum() < 0.7 * everything.sum()
        assert counts.blocks.mean() > 16
    else:
        assert counts.ranges.sum() > len(everything)
        assert counts.postings.sum() > 0.9 * everything.sum()
