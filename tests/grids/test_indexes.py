"""An index for each layout, made of the vectors of another one."""

import numpy as np
import pytest

from splade.grids import Indexes, documents_of
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete
from splade.kernels.sparse import concatenate, to_dense
from tests.kernels.cases import random_batch


@pytest.fixture
def source(tmp_path):
    builder = IndexBuilder(tmp_path / "source", 30, fingerprint="f")
    builder.add(random_batch(0, 80, 30))
    return builder.finish()


def test_vectors_read_out_of_an_index_are_those_that_went_in(source):
    documents = documents_of(source, memory_mb=1)
    batches = list(documents.batches(30))
    given = random_batch(0, 80, 30)
    np.testing.assert_array_equal(
        to_dense(concatenate([batch.rows for batch in batches]), 30), to_dense(given.rows, 30)[30:]
    )
    assert sum((batch.ids for batch in batches), ()) == given.ids[30:]
    assert (documents.fingerprint, documents.vocab_size) == ("f", 30)


def test_deleted_documents_are_left_out_and_appended_ones_come_last(source, tmp_path):
    appender = IndexAppender(tmp_path / "source")
    appender.add(random_batch(1, 10, 30, first=80))
    appender.finish()
    delete(tmp_path / "source", ["d0", "d85"])
    documents = documents_of(InvertedIndex.open(tmp_path / "source"))
    (batch,) = documents.batches(0)
    assert batch.ids == tuple(f"d{n}" for n in range(90) if n not in (0, 85))
    whole = np.concatenate([to_dense(random_batch(0, 80, 30).rows, 30), to_dense(random_batch(1, 10, 30).rows, 30)])
    np.testing.assert_array_equal(to_dense(batch.rows, 30), np.delete(whole, [0, 85], axis=0))


def test_one_layout_is_one_index_and_the_sources_own_is_not_built_again(source, tmp_path):
    indexes = Indexes(source, {"of": 1}, tmp_path / "indexes")
    assert indexes.at({}) is source
    assert indexes.at({"prune_mass": 1.0}) is source
    pruned = indexes.at({"prune_mass": 0.5})
    assert indexes.at({"prune_mass": 0.5}) is pruned
    assert (
        pruned.header | {"metadata": {}}
        == InvertedIndex.from_csr(random_batch(0, 80, 30), fingerprint="f", prune_mass=0.5).header
    )
    assert indexes.at({"prune_mass": 0.6}).path != pruned.path
    indexes.drop()
    assert not (tmp_path / "indexes").exists()
    assert source.path.exists()


def test_indexes_of_an_interrupted_run_are_kept_and_those_of_other_documents_are_not(source, tmp_path, caplog):
    caplog.set_level("INFO")
    folder = tmp_path / "indexes"
    Indexes(source, {"of": 1}, folder).at({"prune_mass": 0.5})
    Indexes(source, {"of": 1}, folder).at({"prune_mass": 0.5})
    assert caplog.text.count("holds these documents already") == 1
    Indexes(source, {"of": 2}, folder).at({"prune_mass": 0.5})
    assert caplog.text.count("holds these documents already") == 1
