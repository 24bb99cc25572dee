"""Writing a shard: what is kept of an interrupted one, and when it is left alone."""

import pytest

from splade.data.vectors.shards import Shard
from splade.encoding.shards import ShardWriter
from splade.files import InputError
from splade.records import SparseBatch
from tests.forked import run_well
from tests.kernels.cases import random_batch

TERMS = [f"t{term}" for term in range(30)]
ABOUT = {"fingerprint": "f" * 32}
BATCHES = [random_batch(number, 5, 30, first=5 * number) for number in range(6)]
FIRST = Shard(1, 1)


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def write(folder, batches=BATCHES, about=ABOUT):
    writer = ShardWriter(folder, FIRST, about, TERMS)
    for batch in batches[writer.n_docs // 5 :]:
        writer.add(batch)
    writer.finish()
    return writer.path


def test_an_interrupted_shard_is_continued_to_the_same_bytes(tmp_path):
    straight = write(tmp_path / "straight")
    for stop in (2, 4):
        writer = ShardWriter(tmp_path / "again", FIRST, ABOUT, TERMS)
        for batch in BATCHES[writer.n_docs // 5 : stop]:
            writer.add(batch)
        assert writer.n_docs == 5 * stop
        writer._lock.release()  # as when its process ends
    assert contents(write(tmp_path / "again")) == contents(straight)
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["shard-00001-of-00001"]


def test_a_finished_shard_is_left_alone(tmp_path):
    path = write(tmp_path)
    before = path.stat().st_ino
    writer = ShardWriter(tmp_path, FIRST, ABOUT, TERMS)
    assert writer.finished
    assert writer.n_docs == 30
    assert path.stat().st_ino == before


def test_a_finished_shard_of_another_encoding_is_not_overwritten(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"other fingerprint.*Name another config.out_dir"):
        ShardWriter(tmp_path, FIRST, {"fingerprint": "0" * 32}, TERMS)


def test_a_damaged_shard_is_written_again(tmp_path, caplog):
    before = contents(write(tmp_path / "shards"))
    path = tmp_path / "shards" / FIRST.folder
    (path / "0000000010.npz").write_bytes(b"")
    assert contents(write(tmp_path / "shards")) == before
    assert "it is encoded again" in caplog.text


def test_what_another_encoding_left_unfinished_is_begun_anew(tmp_path, caplog):
    writer = ShardWriter(tmp_path, FIRST, {"fingerprint": "0" * 32}, TERMS)
    writer.add(BATCHES[0])
    writer._lock.release()
    assert ShardWriter(tmp_path, FIRST, ABOUT, TERMS).n_docs == 0
    assert "left by another encoding (other fingerprint)" in caplog.text


def test_a_piece_cut_short_is_written_again_with_what_follows(tmp_path):
    writer = ShardWriter(tmp_path, FIRST, ABOUT, TERMS)
    for batch in BATCHES[:3]:
        writer.add(batch)
    writer._lock.release()
    piece = writer.part / "0000000005.npz"
    piece.write_bytes(piece.read_bytes()[:100])
    assert ShardWriter(tmp_path, FIRST, ABOUT, TERMS).n_docs == 5


def test_two_processes_do_not_write_one_shard(tmp_path):
    writer = ShardWriter(tmp_path, FIRST, ABOUT, TERMS)
    told = run_well(
        "-c",
        "from pathlib import Path\nfrom splade.encoding.shards import ShardWriter\n"
        "from splade.data.vectors.shards import Shard\nfrom splade.files import InputError\n"
        f"try: ShardWriter(Path({str(tmp_path)!r}), Shard(1, 1), {ABOUT!r}, [])\n"
        "except InputError as error: print(error)",
    )[0].out
    assert "another process is writing this shard. Wait for it" in told
    writer.finish()


def test_ids_come_back_whatever_is_in_them(tmp_path):
    from splade.data.vectors.vectors import open_vectors

    ids = ("1", "é\n", "two words", "x" * 300, " ")
    write(tmp_path, [BATCHES[0]._replace(ids=ids)])
    assert next(open_vectors(tmp_path).batches()).ids == ids


def test_an_id_that_cannot_be_stored_is_refused(tmp_path):
    batch = SparseBatch(("a\0", "b", "c", "d", "e"), BATCHES[0].rows, 30)
    with pytest.raises(InputError, match="zero byte"):
        ShardWriter(tmp_path, FIRST, ABOUT, TERMS).add(batch)


def test_a_shard_without_documents_is_whole_too(tmp_path):
    assert (write(tmp_path, []) / "shard.json").is_file()
