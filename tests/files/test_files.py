"""Files are whole or absent; damaged text is named by file and line."""

import errno
import gzip
import os

import pytest

from splade.files import InputError, read_json, text_lines, whole_file, whole_folder, write_json


def test_a_file_appears_only_when_its_block_ends_well(tmp_path):
    path = tmp_path / "deep" / "run.json"

    def interrupted():
        with whole_file(path) as stream:
            stream.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(path.parent.iterdir()) == []
    with whole_file(path) as stream:
        stream.write("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_an_error_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "perf.json"
    write_json(path, {"mrr_10": 0.5})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"mrr_10": float("nan")})
    assert read_json(path) == {"mrr_10": 0.5}
    assert [file.name for file in tmp_path.iterdir()] == ["perf.json"]


def test_json_is_rewritten_whole_never_appended(tmp_path):
    path = tmp_path / "perf.json"
    for value in ({"a": 1, "b": 2}, {"c": 3}):
        write_json(path, value)
    assert read_json(path) == {"c": 3}


def test_gzip_round_trip_in_text_and_bytes(tmp_path):
    path = tmp_path / "runs.tsv.gz"
    with whole_file(path) as stream:
        stream.write("é\tü\n")
    assert gzip.decompress(path.read_bytes()).decode() == "é\tü\n"
    with whole_file(path, "wb") as stream:
        stream.write(b"\x00\x01")
    assert gzip.decompress(path.read_bytes()) == b"\x00\x01"


def test_a_rename_is_put_on_the_disk_with_the_folder_it_is_in(tmp_path, monkeypatch):
    """After a power cut a renamed file is there only if its folder was synced after the renaming."""
    synced = []

    def fsync(descriptor):
        state = os.fstat(descriptor)
        synced.append((state.st_ino, sorted(path.name for path in tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(tmp_path / "perf.json", 1)
    assert synced[-1] == (tmp_path.stat().st_ino, ["perf.json"])
    with whole_folder(tmp_path / "model") as folder:
        (folder / "query").mkdir()
        (folder / "query" / "weights").write_text("w")
    assert synced[-1] == (tmp_path.stat().st_ino, ["model", "perf.json"])
    for path in (tmp_path / "model", tmp_path / "model/query", tmp_path / "model/query/weights"):
        assert path.stat().st_ino in dict(synced)


def test_a_folder_replaces_another_only_when_it_is_whole(tmp_path):
    path = tmp_path / "model"
    with whole_folder(path) as folder:
        (folder / "weights").write_text("old")

    def interrupted():
        with whole_folder(path) as folder:
            (folder / "weights").write_text("new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        interrupted()
    assert (path / "weights").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_lines_are_numbered_and_lose_only_their_end(tmp_path):
    path = tmp_path / "raw.tsv"
    path.write_bytes(b"a\tb \r\n\nlast")
    assert list(text_lines(path)) == [(1, "a\tb "), (2, ""), (3, "last")]


def test_text_that_is_not_utf8_is_named_by_file_and_line(tmp_path):
    path = tmp_path / "raw.tsv"
    path.write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"raw\.tsv:2: not UTF-8"):
        list(text_lines(path))


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "raw.tsv.gz"
    packed = bytearray(gzip.compress("".join(f"{i}\ttext {i * i}\n" for i in range(3000)).encode()))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"raw\.tsv\.gz.*damaged gzip"):
        list(text_lines(path))


def test_broken_json_is_named_by_file_and_line(tmp_path):
    path = tmp_path / "qrels.json"
    path.write_text('{"q": {"d": 1},\n "r" 2}')
    with pytest.raises(InputError, match=r"qrels\.json:2: not valid JSON"):
        read_json(path)
