import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splade.files import InputError, read_json, standing
from splade.indexing import CorruptIndexError, IndexAppender, IndexBuilder, InvertedIndex, SegmentedIndex, delete, merge
from splade.indexing.format.storage import HEADER
from splade.indexing.index.inverted_index import FOLDER
from splade.indexing.index.statistics import posting_counts
from splade.indexing.index.update_list import FOLDER as UPDATES
from splade.indexing.layout.sources import Stored
from splade.kernels.sparse import concatenate, slice_rows, to_dense
from splade.records import SparseBatch
from tests.forked import run
from tests.kernels.cases import batch, random_batch
from tests.sampled import sampled

V = 30


def content(path):
    """The bytes of all arrays, and what the header says but for the number of updates."""
    arrays = {file.name: file.read_bytes() for file in sorted((path / FOLDER).glob("*.bin"))}
    header = read_json(path / FOLDER / HEADER)
    return arrays, {name: value for name, value in header.items() if name not in ("updates", "checksum")}


def joined(parts, without=()):
    """One batch of the documents of several, but those with the ids ``without``."""
    rows = concatenate([part.rows for part in parts])
    ids = [name for part in parts for name in part.ids]
    kept = [place for place, name in enumerate(ids) if name not in without]
    chosen = concatenate([slice_rows(rows, place, place + 1) for place in kept])
    return SparseBatch(tuple(ids[place] for place in kept), chosen, parts[0].vocab_size)


def append(path, *parts):
    appender = IndexAppender(path)
    for part in parts:
        appender.add(part)
    return appender.finish()


@pytest.fixture
def path(tmp_path):
    InvertedIndex.from_csr(random_batch(0, 50, V), fingerprint="f", metadata={"m": 1}).save(tmp_path / "index")
    return tmp_path / "index"


def parts(n):
    return [random_batch(seed, 50, V, first=50 * seed) for seed in range(n)]


def test_appended_documents_follow_those_that_are_there(path):
    index = append(path, random_batch(1, 50, V, first=50))
    assert isinstance(index, SegmentedIndex)
    assert list(index.doc_ids) == [f"d{doc}" for doc in range(100)]
    everything = to_dense(joined(parts(2)).rows, V)
    assert (to_dense(index.vectors([99, 3, 60, 3]), V) == everything[[99, 3, 60, 3]]).all()
    assert (posting_counts(index) == (everything > 0).sum(0)).all()
    assert (index.fingerprint, index.metadata, index.n_docs) == ("f", {"m": 1}, 100)


def test_deleted_documents_keep_their_numbers_and_lose_their_names(path):
    append(path, random_batch(1, 50, V, first=50))
    assert delete(path, ["d7", "d60"]) == 2
    assert delete(path, ["d8"]) == 1
    index = InvertedIndex.open(path)
    assert index.doc_ids.numbers(["d6", "d7", "d8", "d60", "d61", "nobody"]).tolist() == [6, -1, -1, -1, 61, -1]
    assert index.doc_ids[60] == "d60"
    assert (index.n_docs, index.n_deleted) == (100, 3)
    assert [part.live.sum() if part.live.size else 50 for part in index.parts] == [48, 49]


@pytest.mark.parametrize("weights", sampled(["float32", "float16"]))
@given(deleted=st.lists(st.sets(st.integers(0, 99), max_size=40), min_size=1, max_size=3), again=st.booleans())
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_merged_index_has_the_bytes_of_one_built_from_what_is_left(tmp_path, deleted, again, weights):
    first, second, third = parts(3)
    InvertedIndex.from_csr(first, weights=weights, cluster=True).save(tmp_path / "index")
    append(tmp_path / "index", second)
    for docs in deleted:
        delete(tmp_path / "index", [f"d{doc}" for doc in docs], ignore_missing=True)
    gone = {f"d{doc}" for docs in deleted for doc in docs}
    left = joined([first, second], gone)
    if again:
        merge(tmp_path / "index")
        append(tmp_path / "index", third)
        left = joined([left, third])
    merged = merge(tmp_path / "index")
    assert isinstance(merged, InvertedIndex)
    assert not (tmp_path / "index" / UPDATES).exists()
    builder = IndexBuilder(tmp_path / "straight", V, weights=weights, cluster=True)
    builder.add(left)
    builder.finish()
    assert content(tmp_path / "index") == content(tmp_path / "straight")


@pytest.mark.slow
def test_merged_weights_of_eight_bits_stay_within_half_a_step_or_become_the_smallest(tmp_path):
    first, second, _ = parts(3)
    InvertedIndex.from_csr(first, weights="uint8").save(tmp_path / "index")
    append(tmp_path / "index", second._replace(rows=second.rows._replace(weights=second.rows.weights * 3)))
    before = to_dense(InvertedIndex.open(tmp_path / "index").vectors(range(100)), V)
    merged = merge(tmp_path / "index")
    after = to_dense(merged.vectors(range(100)), V)
    scale = np.float32(merged.codec.scale)
    assert ((np.abs(after - before) <= scale / 2 + 1e-7) | (after == scale)).all()
    assert (after[50:] == before[50:]).all()
    assert ((after > 0) == (before > 0)).all()


def test_the_vocabulary_goes_on_growing(tmp_path):
    InvertedIndex.from_csr(batch([[1, 2]]), vocabulary=["a", "b"]).save(tmp_path / "index")
    appender = IndexAppender(tmp_path / "index")
    assert appender.vocabulary.add("c") == 2
    appender.add(batch([[0, 0, 5]], first=1))
    index = appender.finish()
    assert (list(index.vocabulary), index.vocab_size) == (["a", "b", "c"], 3)
    assert posting_counts(index).tolist() == [1, 1, 1]
    assert list(merge(tmp_path / "index").vocabulary) == ["a", "b", "c"]


def test_an_id_that_is_there_is_refused_and_one_that_was_deleted_is_not(path):
    with pytest.raises(InputError, match=r"'d3' is in .* already"):
        append(path, random_batch(1, 5, V, first=3))
    delete(path, ["d3", "d4"])
    index = append(path, random_batch(1, 2, V, first=3))
    assert index.doc_ids.numbers(["d3", "d4"]).tolist() == [50, 51]


def test_deleting_what_is_not_there_deletes_nothing(path):
    with pytest.raises(InputError, match="2 of 3 documents to delete are not there, the first is 'x'"):
        delete(path, ["d1", "x", "y"])
    assert delete(path, []) == 0
    assert isinstance(InvertedIndex.open(path), InvertedIndex)
    assert delete(path, ["d1", "x"], ignore_missing=True) == 1


def test_a_base_that_is_built_anew_has_no_updates(path):
    append(path, random_batch(1, 50, V, first=50))
    delete(path, ["d1"])
    updates = path / UPDATES
    kept = {file.relative_to(updates): file.read_bytes() for file in updates.rglob("*") if file.is_file()}
    InvertedIndex.from_csr(random_batch(5, 20, V)).save(path)
    assert not updates.exists()
    for name, octets in kept.items():  # as if the kill had come before they were removed
        (updates / name).parent.mkdir(parents=True, exist_ok=True)
        (updates / name).write_bytes(octets)
    assert InvertedIndex.open(path).n_docs == 20
    delete(path, ["d0"])
    assert InvertedIndex.open(path).n_docs == 20
    assert sorted(entry.name for entry in updates.iterdir() if entry.is_dir()) == ["deleted-00001"]


def test_a_reader_keeps_what_it_opened(path):
    before = InvertedIndex.open(path)
    append(path, random_batch(1, 50, V, first=50))
    delete(path, ["d0"])
    opened = InvertedIndex.open(path)
    expected = to_dense(opened.vectors(range(100)), V)
    merge(path)
    assert (to_dense(opened.vectors(range(100)), V) == expected).all()
    assert (to_dense(before.vectors(range(50)), V) == expected[:50]).all()


def test_an_interrupted_append_is_continued_and_counts_for_nothing_until_then(path):
    appender = IndexAppender(path)
    appender.add(random_batch(1, 50, V, first=50))
    appender.checkpoint()
    del appender
    assert InvertedIndex.open(path).n_docs == 50
    appender = IndexAppender(path, resume=True)
    assert appender.n_docs == 50
    assert appender.finish().n_docs == 100


def test_a_kill_between_the_two_moves_of_a_replacement_loses_nothing(path):
    (path / FOLDER).replace(path / f".{FOLDER}.old")
    assert standing(path / FOLDER).name == f".{FOLDER}.old"
    assert InvertedIndex.open(path).n_docs == 50
    append(path, random_batch(1, 50, V, first=50))
    assert merge(path).n_docs == 100
    assert [entry.name for entry in path.iterdir()] == [FOLDER]


def test_damaged_updates_are_named(path):
    delete(path, ["d1"])
    (path / UPDATES / "updates.json").write_text("{")
    with pytest.raises(CorruptIndexError, match=r"updates\.json: damaged"):
        InvertedIndex.open(path)


def test_an_index_that_another_process_updates_is_left_alone(path):
    code = f"from splade.indexing import IndexAppender; IndexAppender({str(path)!r})"
    appender = IndexAppender(path)
    (refused,) = run("-c", code)
    assert refused.status
    assert "another process is writing this index" in refused.err
    appender.finish()


def test_a_source_of_finished_indexes_tells_the_same_by_document_and_by_term(tmp_path):
    index = InvertedIndex.from_csr(random_batch(3, 900, V), cluster=True)
    numbers = np.where(np.arange(900) % 3 == 0, -1, np.cumsum(np.arange(900) % 3 != 0) - 1).astype(np.int32)
    source = Stored([(index.blocks, numbers)], V)
    by_document = np.zeros((600, V), np.float32)
    for docs, rows in source.documents():
        by_document[docs] = to_dense(rows, V)
    by_term = to_dense(source.of_terms(0, V), 600).T
    expected = to_dense(random_batch(3, 900, V).rows, V)[np.arange(900) % 3 != 0]
    assert (by_document == expected).all()
    assert (by_term == expected).all()
