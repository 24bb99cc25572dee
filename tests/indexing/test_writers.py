"""One writer of an index at a time, and readers that find a state before a change or after it."""

import os

import numpy as np
import pytest

from splade.dense import index as dense_index
from splade.dense.index import DenseBatch, DenseIndex, write_dense
from splade.files import InputError
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, SegmentedIndex, delete, merge
from splade.indexing.index import inverted_index
from splade.indexing.index.inverted_index import FOLDER, building_folder
from splade.indexing.index.update_list import FOLDER as UPDATES
from splade.indexing.index.writing import Writing
from splade.kernels.sparse import to_dense
from splade.locks import Lock
from tests.forked import run
from tests.kernels.cases import random_batch

V = 30
FIRST, SECOND = random_batch(0, 50, V), random_batch(1, 50, V, first=50)


@pytest.fixture
def path(tmp_path):
    InvertedIndex.from_csr(FIRST).save(tmp_path / "index")
    return tmp_path / "index"


def append(path, part=SECOND):
    appender = IndexAppender(path)
    appender.add(part)
    return appender.finish()


def live(index):
    """The ids that a search may find."""
    return [name for name in index.doc_ids if index.doc_ids.numbers([name])[0] >= 0]


WRITERS = {
    "append": IndexAppender,
    "delete": lambda path: delete(path, ["d1"], ignore_missing=True),
    "build": lambda path: IndexBuilder(path, V),
    "save": lambda path: InvertedIndex.from_csr(SECOND).save(path),
}


@pytest.mark.parametrize("second", WRITERS)
@pytest.mark.parametrize("first", ["append", "build"])
def test_a_second_writer_in_the_same_process_is_refused_and_the_first_goes_on(path, first, second):
    writer = WRITERS[first](path)
    with pytest.raises(InputError, match="this process is writing this index already"):
        WRITERS[second](path)
    writer.add(SECOND)
    index = writer.finish()
    assert live(index) == [*(FIRST.ids if first == "append" else ()), *SECOND.ids]
    WRITERS[second](path)  # and then it is its turn


def test_an_index_that_is_appended_to_is_not_merged(path):
    delete(path, ["d1"])
    appender = IndexAppender(path)
    with pytest.raises(InputError, match="this process is writing this index already"):
        merge(path)
    appender.add(SECOND)
    assert live(appender.finish()) == [name for name in (*FIRST.ids, *SECOND.ids) if name != "d1"]
    assert merge(path).n_docs == 99


def test_two_builders_of_one_new_index_are_one_too_many_by_whatever_name(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    builder = IndexBuilder(tmp_path / "real" / "index", V)
    with pytest.raises(InputError, match="this process is writing this index already"):
        IndexBuilder(tmp_path / "link" / "index", V)
    builder.add(FIRST)
    assert builder.finish().n_docs == 50
    IndexBuilder(tmp_path / "link" / "index", V).abandon()


def test_the_refused_writer_does_not_let_go_of_the_lock_of_the_first(path):
    """POSIX lets go of a file when a process closes it anywhere: whoever is refused must not have opened it."""
    pytest.importorskip("fcntl", reason="needs POSIX file locks")
    appender = IndexAppender(path)
    with pytest.raises(InputError):
        delete(path, ["d1"])
    code = f"from splade.indexing import delete; delete({str(path)!r}, ['d1'])"
    (refused,) = run("-c", code)
    assert refused.status
    assert "another process is writing this index" in refused.err
    appender.finish()


def test_a_writer_that_fails_lets_go(path, monkeypatch):
    with pytest.raises(InputError, match="not there"):
        delete(path, ["nobody"])

    def broken(*arguments, **options):
        raise RuntimeError("broken")

    for name in ("updates.IndexBuilder", "updates.write_index", "builder.Journal"):
        append(path, random_batch(7, 3, V, prefix=name))
        with monkeypatch.context() as patched:
            patched.setattr(f"splade.indexing.building.{name}", broken)
            for write in (WRITERS["append"], WRITERS["build"], merge):
                try:
                    write(path)
                except RuntimeError as error:
                    kept = error  # as an interactive session keeps the last error, with all its frames
        assert kept
        Writing(path).release()


def test_a_builder_that_was_left_lets_the_next_one_continue(tmp_path):
    left = IndexBuilder(tmp_path / "index", V)
    left.add(FIRST)
    left.checkpoint()
    left.leave()
    continued = IndexBuilder(tmp_path / "index", V, resume=True)
    assert continued.n_docs == 50
    with pytest.raises(ValueError, match="was left"):
        left.add(SECOND)


def test_a_child_process_does_not_take_the_lock_of_its_parent_for_its_own(tmp_path):
    lock = Lock(tmp_path / "lock", "Wait for it")
    reader, writer = os.pipe()
    if not (child := os.fork()):
        try:
            Lock(tmp_path / "lock", "Wait for it")
            os.write(writer, b"both have it")
        except InputError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"another process" in os.read(reader, 1000)
    lock.release()
    Lock(tmp_path / "lock", "Wait for it")


def test_a_lock_on_a_file_that_its_holder_has_just_removed_is_none(tmp_path, monkeypatch):
    """The second writer opens the file, the first removes it and ends: a third would find no lock there."""
    first, opened = Lock(tmp_path / "lock", "Wait for it"), os.open

    def opens_late(name, *arguments):
        descriptor = opened(name, *arguments)
        if first.is_held:
            (tmp_path / "lock").unlink()
            first.release()
        return descriptor

    with monkeypatch.context() as patched:
        patched.setattr("splade.locks._HELD", {})  # as in another process
        patched.setattr("splade.locks.os.open", opens_late)
        second = Lock(tmp_path / "lock", "Wait for it")
    assert second.is_there


def test_no_lock_of_updates_stays_where_nothing_was_changed(path):
    assert delete(path, []) == 0
    IndexAppender(path).leave()
    IndexBuilder(path, V).abandon()
    assert [entry.name for entry in path.iterdir()] == [FOLDER]


def test_what_a_killed_merge_left_half_written_goes_with_the_next_change(path):
    for left in (path / f".{FOLDER}.abc.part", path / f".{FOLDER}.unfinished"):
        left.mkdir()
        (left / "local.bin").write_bytes(b"half")
    delete(path, ["d1"])
    assert sorted(entry.name for entry in path.iterdir()) == [FOLDER, UPDATES]


def test_numbers_are_looked_up_when_nobody_else_can_change_them(path, monkeypatch):
    """A merge by somebody else, just before the deletion has the index for itself: numbers are other ones then."""
    append(path)
    delete(path, ["d3"])

    class Late(Writing):
        def __init__(self, path):
            monkeypatch.setattr("splade.indexing.building.updates.Writing", Writing)
            merge(path)
            super().__init__(path)

    monkeypatch.setattr("splade.indexing.building.updates.Writing", Late)
    assert delete(path, ["d60"]) == 1
    assert live(InvertedIndex.open(path)) == [name for name in (*FIRST.ids, *SECOND.ids) if name not in ("d3", "d60")]


def test_a_merge_keeps_what_was_appended_just_before_the_index_was_its_own(path, monkeypatch):
    delete(path, ["d3"])

    class Late(Writing):
        def __init__(self, path):
            monkeypatch.setattr("splade.indexing.building.updates.Writing", Writing)
            append(path)
            super().__init__(path)

    monkeypatch.setattr("splade.indexing.building.updates.Writing", Late)
    assert merge(path).n_docs == 99


CHANGES = {
    "merge": merge,
    "delete": lambda path: delete(path, ["d60"]),
    "build": lambda path: InvertedIndex.from_csr(SECOND).save(path),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", ["read_updates", "read_table", "deleted_docs"])
def test_an_index_that_changes_while_it_is_opened_is_of_one_state(path, monkeypatch, change, step):
    append(path)
    delete(path, ["d3"])
    real = getattr(inverted_index, step)

    def changed_before(*arguments, **options):
        monkeypatch.setattr(inverted_index, step, real)
        CHANGES[change](path)
        return real(*arguments, **options)

    monkeypatch.setattr(inverted_index, step, changed_before)
    index = InvertedIndex.open(path, verify=True)
    gone = {"merge": {"d3"}, "delete": {"d3", "d60"}, "build": set(FIRST.ids)}[change]
    assert live(index) == [name for name in (*FIRST.ids, *SECOND.ids) if name not in gone]
    expected = np.concatenate([to_dense(FIRST.rows, V), to_dense(SECOND.rows, V)])
    numbers = [int(name[1:]) for name in live(index)]
    assert (to_dense(index.vectors(index.doc_ids.numbers(live(index))), V) == expected[numbers]).all()
    assert isinstance(index, SegmentedIndex) == (change == "delete")


def test_an_index_that_is_damaged_is_refused_once_and_not_read_for_ever(path):
    (path / FOLDER / "id_text.bin").unlink()
    with pytest.raises(InputError, match=r"id_text\.bin: this file is missing"):
        InvertedIndex.open(path)


def test_a_dense_index_that_is_replaced_while_it_is_opened_is_the_new_one(tmp_path, monkeypatch):
    def write(value):
        write_dense(tmp_path, [DenseBatch(("a", "b"), np.full((2, 3), value, np.float32))], 3)

    write(1)
    real = dense_index.read_table

    def replaced_meanwhile(*arguments, **options):
        monkeypatch.setattr(dense_index, "read_table", real)
        table = real(*arguments, **options)
        write(2)
        return table

    monkeypatch.setattr(dense_index, "read_table", replaced_meanwhile)
    assert (DenseIndex.open(tmp_path).vectors == 2).all()


def test_a_dense_index_whose_replacement_was_killed_half_way_is_found(tmp_path):
    write_dense(tmp_path, [DenseBatch(("a",), np.ones((1, 3), np.float32))], 3)
    (tmp_path / dense_index.FOLDER).replace(tmp_path / f".{dense_index.FOLDER}.old")
    assert DenseIndex.open(tmp_path).n_docs == 1


def test_the_parts_of_an_index_are_kept_beside_it(tmp_path):
    assert building_folder(tmp_path / "index") == tmp_path.resolve() / ".index.building"
