"""The best recall within a number of bytes: what is chosen, what fits, and what is told of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.files import InputError
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, merge
from splade.indexing.format.choices import Layout, Shape
from splade.indexing.layout import loss
from splade.indexing.layout.fitting import cuts_to, steps
from splade.indexing.layout.sources import Documents, InMemory
from splade.kernels.compiled import read_only_rows
from splade.kernels.shares import rank_entries
from splade.kernels.sparse import from_dense, to_dense, transpose
from tests.kernels.cases import batch, brute_force, random_batch

DOCS, TERMS, LARGE = 300, 40, 2.0**17


@pytest.fixture(scope="module")
def documents():
    """Weights beyond float16, for which no search would be compiled but for these tests."""
    return batch(LARGE * to_dense(random_batch(3, DOCS, TERMS, density=0.5).rows, TERMS))


@pytest.fixture(scope="module")
def whole(documents):
    return InvertedIndex.from_csr(documents)


def kept_of(index):
    return to_dense(transpose(index.postings, index.n_docs), index.vocab_size)


def test_ranks_and_the_share_of_heavier_weight_by_hand():
    rows = read_only_rows(from_dense([[4.0, 1.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]))
    ranks, before = np.empty(6, np.int32), np.empty(6, np.float32)
    rank_entries(rows, ranks, before)
    assert ranks.tolist() == [0, 3, 1, 2, 0, 1]
    np.testing.assert_allclose(before, [0, 0.9, 0.4, 0.7, 0, 0.5])
    cuts = cuts_to(4, ranks, before)
    assert cuts["top_terms"].top_terms == 2
    assert cuts["mass"].mass == pytest.approx(0.7)  # the four before which less lies: 0, 0, .4, .5


def test_the_steps_of_a_layout_keep_all_postings_and_end_with_the_fewest_bytes():
    def told(layout, largest=1.0):
        return [(step.weights, 1 << step.sizes.block_bits) for step in steps(layout, largest)]

    assert told(Layout(max_bytes=1)) == [
        ("float32", 64), ("float16", 64), ("float16", 1024), ("uint8", 64), ("uint8", 1024),
    ]  # fmt: skip
    assert told(Layout(), 1e6) == [("float32", 64), ("uint8", 64), ("uint8", 1024)]  # float16 ends at 65,504
    assert told(Layout(weights="uint8", shape=2048)) == [("uint8", 2048)]
    assert {step.max_bytes for step in steps(Layout(max_bytes=5), 1.0)} == {None}


def test_what_fits_as_it_is_stays_as_it_is(documents, whole):
    index = InvertedIndex.from_csr(documents, max_bytes=whole.n_bytes)
    assert {name: array.tobytes() for name, array in index.arrays.items()} == {
        name: array.tobytes() for name, array in whole.arrays.items()
    }
    assert (index.layout.weights, index.fit.n_queries, index.fit.recall) == ("float32", 0, {})
    assert InvertedIndex.from_csr(documents, max_bytes=whole.n_bytes - 1).layout.weights == "uint8"


@pytest.mark.slow
def test_weights_that_fit_into_16_bits_come_before_those_of_8():
    documents = random_batch(3, DOCS, TERMS, density=0.5)
    whole = InvertedIndex.from_csr(documents)
    index = InvertedIndex.from_csr(documents, max_bytes=whole.n_bytes - 1)
    assert (index.layout.weights, index.layout.sizes) == ("float16", Shape())
    assert 0.99 < index.fit.recall["10"] <= 1


@given(share=st.floats(0.3, 1.2))
@settings(max_examples=12, deadline=None)
def test_an_index_is_never_larger_than_it_may_be_and_holds_the_heaviest_terms_of_each_document(share, documents, whole):
    most = int(whole.n_bytes * share)
    index = InvertedIndex.from_csr(documents, max_bytes=most)
    assert index.n_bytes <= most
    vectors, kept = to_dense(documents.rows, TERMS), kept_of(index)
    assert index.n_postings == (kept > 0).sum()
    assert (
        index.n_postings + (sum(index.pruned) - index.pruned.postings_before if index.pruned else 0)
        == (vectors > 0).sum()
    )
    for vector, left in zip(vectors, kept, strict=True):
        gone = (vector > 0) & (left == 0)
        assert (left > 0).any() == (vector > 0).any()
        assert not gone.any() or vector[gone].max() < vector[left > 0].min()
    np.testing.assert_allclose(kept[kept > 0], vectors[kept > 0], atol=index.codec.scale)


def test_the_recall_that_is_told_is_that_of_searches_by_numpy(documents, whole):
    index = InvertedIndex.from_csr(documents, max_bytes=int(whole.n_bytes * 0.4))
    rng = np.random.default_rng(index.layout.seed)
    drawn = np.sort(rng.permutation(DOCS)[: 2 * loss.QUERIES])
    some = batch(to_dense(documents.rows, TERMS)[drawn]).rows
    queries = to_dense(loss.made_up(some, index.layout.seed), TERMS)
    assert index.fit.n_queries == len(queries) == 2 * loss.QUERIES
    for k in (10, 100):
        true = brute_force(to_dense(documents.rows, TERMS), queries, k)[0]
        found = brute_force(kept_of(index), queries, k)[0]
        shares = [len(set(one) & set(other)) / k for one, other in zip(true.tolist(), found.tolist(), strict=True)]
        assert index.fit.recall[str(k)] == pytest.approx(np.mean(shares), abs=2e-3)  # sums in another order
        assert index.fit.recall[str(k)] < 1
    assert set(index.fit.recall) == {"10", "100"}  # no query finds 1,000 of 300 documents


def test_documents_read_in_parts_are_ranked_as_all_together():
    vectors = np.random.default_rng(0).random((70, 9), np.float32)
    queries = batch(np.random.default_rng(1).random((loss.LANES + 3, 9), np.float32)).rows
    parts = [
        Documents(np.arange(first, first + 10), read_only_rows(from_dense(vectors[first : first + 10])))
        for first in range(0, 70, 10)
    ]
    found = loss.best_of(parts, read_only_rows(queries), 12, 9)
    expected = brute_force(vectors, to_dense(queries, 9), 12)[0]
    assert [one.tolist() for one in found] == expected.tolist()


def test_a_build_on_the_disk_has_the_arrays_of_one_in_memory_and_tells_what_it_chose(documents, whole, tmp_path):
    most = int(whole.n_bytes * 0.4)
    made = InvertedIndex.from_csr(documents, max_bytes=most)
    builder = IndexBuilder(tmp_path / "ix", TERMS, memory_mb=1, max_bytes=most)
    for first in range(0, DOCS, 100):
        vectors = to_dense(documents.rows, TERMS)[first : first + 100]
        builder.add(batch(vectors, first=first))
        builder.checkpoint()  # three segments
    index = builder.finish()
    assert index.layout.identity == made.layout.identity
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(index.arrays[name], array)
    opened = InvertedIndex.open(tmp_path / "ix", verify=True)
    assert opened.fit == index.fit == made.fit
    assert opened.pruned == made.pruned
    assert opened.pruned.share > 0
    opened.save(tmp_path / "copy")
    assert InvertedIndex.open(tmp_path / "copy").fit == made.fit
    assert not list((tmp_path / "ix").glob("**/*unfinished*"))


def test_appended_documents_are_kept_as_the_others_are_and_a_merge_keeps_what_is_there(documents, whole, tmp_path):
    builder = IndexBuilder(tmp_path / "ix", TERMS, max_bytes=int(whole.n_bytes * 0.4))
    builder.add(documents)
    layout = builder.finish().layout
    appender = IndexAppender(tmp_path / "ix")
    appender.add(batch(LARGE * to_dense(random_batch(4, 50, TERMS, density=0.5).rows, TERMS), prefix="e"))
    second = appender.finish().parts[1].segment
    assert second.layout == layout
    assert second.pruned.share > 0
    assert second.fit is None
    merged = merge(tmp_path / "ix")
    assert merged.n_docs == DOCS + 50
    assert merged.codec.name == "uint8"


def test_too_few_bytes_are_refused_and_a_later_build_goes_on_from_what_was_added(documents, whole, tmp_path):
    builder = IndexBuilder(tmp_path / "ix", TERMS, max_bytes=100)
    builder.add(documents)
    with pytest.raises(InputError, match=r"config\.index_max_bytes=100: the index takes \d+ bytes at the least"):
        builder.finish()
    builder.leave()
    assert not (tmp_path / "ix" / "inverted_index").exists()
    again = IndexBuilder(tmp_path / "ix", TERMS, max_bytes=10 * whole.n_bytes, resume=True)
    assert again.n_docs == DOCS
    assert again.finish().fit.n_queries == 0
    for wrong in (0, -5, float("nan")):
        with pytest.raises(ValueError, match="max_bytes must be 1 or more"):
            IndexBuilder(tmp_path / "other", TERMS, max_bytes=wrong)


def test_a_layout_without_a_limit_has_the_identity_of_earlier_versions():
    assert "max_bytes" not in Layout().identity
    limited = Layout(max_bytes=2e9, shape=Shape())
    assert limited.identity["max_bytes"] == 2_000_000_000
    assert Layout.from_identity(limited.identity).limit == 2_000_000_000


def test_documents_without_terms_and_no_documents_fit():
    empty = batch(np.zeros((3, 5), np.float32))
    assert InvertedIndex.from_csr(empty, max_bytes=10**6).fit.n_queries == 0
    nothing = InvertedIndex.from_csr(batch(np.zeros((0, 5), np.float32)), max_bytes=10**6)
    assert nothing.fit.recall == {}
    assert InMemory(empty.rows, 5).n_docs == 3
