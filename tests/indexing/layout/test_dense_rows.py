"""Terms of most documents have a row of weights by position, which searches add up in place of their postings."""

import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.format.choices import Shape
from splade.indexing.layout.blocked import DENSE, PREFIX
from splade.search import Searcher
from tests.kernels.cases import batch, brute_force

N, V = 300, 24


@pytest.fixture(scope="module")
def matrix():
    """Term 0 is in every document, term 1 in half of them, term 2 in one less, the others in a fifth."""
    draw = np.random.default_rng(1)
    weights = np.where(draw.random((N, V)) < 0.2, draw.random((N, V)) + 0.1, 0).astype(np.float32)
    weights[:, 0] = draw.random(N) + 0.1
    weights[:, 1:3] = 0
    weights[::2, 1] = 1.5
    weights[2::2, 2] = 2.5
    return weights


def index_of(matrix, **layout):
    return InvertedIndex.from_csr(batch(matrix), shape=Shape(8, 6), **layout)


def test_a_term_of_half_of_the_documents_has_a_row_and_one_of_fewer_has_none(matrix):
    blocks = index_of(matrix, cluster=True).blocks
    assert np.flatnonzero(blocks.dense_rows >= 0).tolist() == [0, 1]
    rows = blocks.dense.reshape(2, N)
    np.testing.assert_array_equal(rows[blocks.dense_rows[:2]].T, matrix[blocks.order][:, :2])


@pytest.mark.parametrize("strategy", ["exhaustive", "block_max", "auto"])
@pytest.mark.parametrize("weights", ["float32", "uint8", pytest.param("float16", marks=pytest.mark.slow)])
def test_searches_with_rows_have_the_bits_of_searches_without(matrix, weights, strategy):
    index = index_of(matrix, weights=weights, cluster=True)
    without = {name: array for name, array in index.arrays.items() if name not in {PREFIX + name for name in DENSE}}
    former = InvertedIndex(without, empty_docs=0, codec=index.codec, layout=index.layout)
    assert (former.blocks.dense_rows == -1).all()
    queries = batch(matrix[::30])
    for k in (1, 10, N):
        found, expected = (Searcher(each, strategy).search_csr(queries, k=k) for each in (index, former))
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1].view(np.uint32), expected[1].view(np.uint32))


def test_an_index_of_an_earlier_version_opens_and_answers(matrix, tmp_path):
    index = index_of(matrix)
    without = {name: array for name, array in index.arrays.items() if not name.startswith(f"{PREFIX}dense")}
    InvertedIndex(without, empty_docs=0, layout=index.layout).save(tmp_path / "index")
    opened = InvertedIndex.open(tmp_path / "index")
    expected = brute_force(matrix, matrix[:5], 10)
    np.testing.assert_array_equal(Searcher(opened).search_csr(batch(matrix[:5]), k=10)[0], expected[0])


def test_an_index_without_documents_has_no_rows():
    blocks = InvertedIndex.from_csr(batch(np.zeros((0, 3), np.float32))).blocks
    assert blocks.dense.size == 0
    assert blocks.dense_rows.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("size", [64, 1024])
def test_a_block_has_as_many_documents_as_are_asked_for(matrix, size):
    index = InvertedIndex.from_csr(batch(matrix), shape=size)
    assert 1 << int(index.blocks.block_bits) == size
    expected = brute_force(matrix, matrix[:5], 10)
    for strategy in ("exhaustive", "block_max"):
        np.testing.assert_array_equal(Searcher(index, strategy).search_csr(batch(matrix[:5]), k=10)[0], expected[0])


@pytest.mark.parametrize("size", [0, 32, 96, 65536])
def test_a_block_of_another_size_is_refused(matrix, size):
    with pytest.raises(ValueError, match=rf"64, 128, 256 … or 32768 documents, got {size}"):
        InvertedIndex.from_csr(batch(matrix), shape=size)
