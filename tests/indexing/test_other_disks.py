"""Folders on another disk than the one above them: links, mount points, and what cannot be renamed across disks."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from splade import files
from splade.dense.index import DenseBatch, DenseIndex, write_dense
from splade.files import InputError, check_writable, standing, whole_file, whole_folder
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.indexing.index.inverted_index import FOLDER, building_folder
from tests.kernels.cases import random_batch

V = 30
FIRST, SECOND = random_batch(0, 50, V), random_batch(1, 50, V, first=50)
SHM = Path("/dev/shm")


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another disk than ``tmp_path``."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev or not os.access(SHM, os.W_OK):
        pytest.skip("needs a second disk: /dev/shm is none here")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


@pytest.fixture
def disks(monkeypatch):
    """``disks(*tops)``: each of these folders is a disk of its own, which nothing is renamed into or out of."""
    real_replace, real_stat = os.replace, os.stat

    def mount(*tops):
        def disk(path):
            real = Path(os.path.realpath(path.parent)) / path.name
            return next((i for i, top in enumerate(tops) if real == top or top in real.parents), -1)

        def replace(source, target, **options):
            if disk(Path(source)) != disk(Path(target)):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))
            real_replace(source, target, **options)

        def stat(path, **options):
            found = real_stat(path, **options)
            number = disk(Path(os.path.realpath(path))) if isinstance(path, str | Path) else -1
            if number < 0:
                return found
            return os.stat_result((*found[:2], 10_000 + number, *found[3:]))

        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "rename", replace)
        monkeypatch.setattr(os, "stat", stat)
        monkeypatch.setattr(
            Path, "stat", lambda path, follow_symlinks=True: stat(path, follow_symlinks=follow_symlinks)
        )

    return mount


def whole_life(path):
    """Everything that is ever done to an index at ``path``."""
    builder = IndexBuilder(path, V)
    builder.add(FIRST)
    builder.checkpoint()
    del builder
    with pytest.raises(InputError, match="building one was interrupted"):
        InvertedIndex.open(path)
    builder = IndexBuilder(path, V, resume=True)
    assert builder.n_docs == 50
    builder.finish()
    appender = IndexAppender(path)
    appender.add(SECOND)
    appender.finish()
    delete(path, ["d1"])
    assert merge(path).n_docs == 99
    IndexBuilder(path, V).finish()
    InvertedIndex.from_csr(FIRST).save(path)
    write_dense(path, [DenseBatch(("a",), FIRST.rows.weights[None, :3])], 3)
    assert (InvertedIndex.open(path).n_docs, DenseIndex.open(path).n_docs) == (50, 1)
    assert sorted(entry.name for entry in path.iterdir()) == ["dense_index", FOLDER]


def test_an_index_folder_that_is_a_link_to_another_disk_is_built_there(tmp_path, elsewhere):
    (elsewhere / "index").mkdir()
    (tmp_path / "index").symlink_to(elsewhere / "index")
    whole_life(tmp_path / "index")
    assert (tmp_path / "index").is_symlink()
    assert (elsewhere / "index" / FOLDER).is_dir()
    assert [entry.name for entry in (*tmp_path.iterdir(), *elsewhere.iterdir())] == ["index", "index"]


def test_a_link_to_a_folder_that_is_not_there_yet_is_one_all_the_same(tmp_path, elsewhere):
    (tmp_path / "index").symlink_to(elsewhere / "deep" / "index")
    whole_life(tmp_path / "index")
    assert (elsewhere / "deep" / "index" / FOLDER).is_dir()


def test_the_arrays_may_be_a_link_to_another_disk(tmp_path, elsewhere):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / FOLDER).symlink_to(elsewhere / "arrays")
    whole_life(tmp_path / "index")
    assert (tmp_path / "index" / FOLDER).is_symlink()
    assert [entry.name for entry in elsewhere.iterdir()] == ["arrays"]


def test_an_index_folder_that_is_a_mount_point_is_built_within_it(tmp_path, disks):
    path = tmp_path / "index"
    path.mkdir()
    disks(path)
    assert building_folder(path) == path.resolve() / ".building"
    whole_life(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]


def test_an_index_folder_below_a_mount_point_is_built_beside_itself(tmp_path, disks):
    (tmp_path / "disk").mkdir()
    disks(tmp_path / "disk")
    assert building_folder(tmp_path / "disk" / "index") == tmp_path.resolve() / "disk" / ".index.building"
    whole_life(tmp_path / "disk" / "index")


def test_an_index_folder_in_a_folder_that_is_closed_is_built_within_itself(tmp_path, monkeypatch):
    path = tmp_path / "index"
    path.mkdir()
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path.resolve())
    assert building_folder(path) == path.resolve() / ".building"
    whole_life(path)


def test_what_can_nowhere_be_renamed_is_refused_before_the_first_document(tmp_path, monkeypatch):
    def replace(source, target, **options):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(InputError, match=r"cannot write the index, Invalid cross-device link"):
        IndexBuilder(tmp_path / "index", V)


def test_a_model_folder_that_is_a_link_stays_one_however_often_it_is_replaced(tmp_path, elsewhere):
    (tmp_path / "model").symlink_to(elsewhere / "model")
    for weights in ("first", "second", "third"):
        with whole_folder(tmp_path / "model") as folder:
            (folder / "weights").write_text(weights)
        assert (elsewhere / "model" / "weights").read_text() == weights
    assert [entry.name for entry in (*tmp_path.iterdir(), *elsewhere.iterdir())] == ["model", "model"]


def test_a_replaced_folder_behind_a_link_is_found_where_a_kill_left_it(tmp_path, elsewhere):
    with whole_folder(elsewhere / "model") as folder:
        (folder / "weights").write_text("w")
    (tmp_path / "model").symlink_to(elsewhere / "model")
    (elsewhere / "model").replace(elsewhere / ".model.old")
    assert (standing(tmp_path / "model") / "weights").read_text() == "w"


def test_a_mount_point_is_refused_before_what_should_replace_it_is_made(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "model")
    with pytest.raises(InputError, match="model: a disk is mounted there"), whole_folder(tmp_path / "model"):
        pytest.fail("the block is not entered")


def test_a_file_below_a_link_to_a_folder_that_is_not_there_yet_is_written(tmp_path, elsewhere):
    (tmp_path / "out").symlink_to(elsewhere / "out")
    check_writable(tmp_path / "out")
    with whole_file(tmp_path / "out" / "run.json") as stream:
        stream.write("{}")
    assert (elsewhere / "out" / "run.json").read_text() == "{}"


def test_putting_a_folder_on_the_disk_lets_go_of_no_lock_in_it(tmp_path, monkeypatch):
    """A lock is an empty file; POSIX lets go of it when any descriptor of it is closed."""
    (tmp_path / "lock").touch()
    (tmp_path / "piece").write_text("p")
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **named: (opened.append(Path(path)), real(path, *rest, **named))[1]
    )
    files.sync_tree(tmp_path)
    assert opened == [tmp_path / "piece", tmp_path]
