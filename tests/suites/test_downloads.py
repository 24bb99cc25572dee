"""Downloads go on where they were interrupted, and are checked; or nothing is downloaded. No test has a network."""

import hashlib
import os
import socket

import pytest

from splade.data.text_files.sources import NotDownloadedError, downloads_allowed, no_downloads
from splade.files import InputError
from splade.suites import downloads, missing_sets, parts_of, sets_of
from splade.suites.downloads import Archive, archive_of, download, fetch, hub_offline

ir_datasets = pytest.importorskip("ir_datasets")
requests = pytest.importorskip("requests")
CONTENT = bytes(range(256)) * 40


class Server:
    """Stands in for ``requests.get``: gives CONTENT, breaks off after ``breaks`` bytes of each answer."""

    def __init__(self, breaks=(), ranges=True):
        self.breaks, self.ranges, self.asked = list(breaks), ranges, []

    def __call__(self, url, headers, **_):
        self.asked.append(headers.get("Range"))
        start = int(headers["Range"][len("bytes=") : -1]) if self.ranges and "Range" in headers else 0
        return Answer(self, start)


class Answer:
    def __init__(self, server, start):
        self.server, self.start = server, start
        self.status_code = 206 if start else 200
        if start >= len(CONTENT):
            self.status_code = 416
        self.headers = {"content-length": str(len(CONTENT) - start)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def raise_for_status(self):
        assert self.status_code in (200, 206)

    def iter_content(self, _):
        rest = CONTENT[self.start :]
        cut = self.server.breaks.pop(0) if self.server.breaks else len(rest)
        if cut:
            yield rest[:cut]
        if cut < len(rest):
            raise requests.exceptions.ChunkedEncodingError("the connection was lost")


@pytest.fixture
def archive(tmp_path):
    return Archive("https://data.example.org/x.zip", hashlib.md5(CONTENT).hexdigest(), {"H": "1"}, tmp_path / "x/s.zip")


def served(monkeypatch, **how):
    server = Server(**how)
    monkeypatch.setattr(requests, "get", server)
    return server


def test_a_broken_download_goes_on_after_the_bytes_that_came(monkeypatch, archive):
    server = served(monkeypatch, breaks=[1000, 2000])
    download(archive)
    assert server.asked == [None, "bytes=1000-", "bytes=3000-"]
    assert archive.path.read_bytes() == CONTENT
    assert [path.name for path in archive.path.parent.iterdir()] == ["s.zip"]


def test_so_does_that_of_a_process_that_was_killed(monkeypatch, archive):
    server = served(monkeypatch)
    archive.path.parent.mkdir()
    archive.path.with_name("s.zip.part").write_bytes(CONTENT[:700])
    download(archive)
    assert server.asked == ["bytes=700-"]
    assert archive.path.read_bytes() == CONTENT


def test_one_that_was_killed_after_the_last_byte_is_only_checked(monkeypatch, archive):
    served(monkeypatch)
    archive.path.parent.mkdir()
    archive.path.with_name("s.zip.part").write_bytes(CONTENT)
    download(archive)
    assert archive.path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(monkeypatch, archive):
    served(monkeypatch, breaks=[1000], ranges=False)
    download(archive)
    assert archive.path.read_bytes() == CONTENT


def test_a_download_without_progress_is_given_up_and_its_bytes_are_kept(monkeypatch, archive):
    server = served(monkeypatch, breaks=[1000, 0, 0, 0])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        download(archive)
    assert server.asked == [None] + ["bytes=1000-"] * 3
    assert archive.path.with_name("s.zip.part").stat().st_size == 1000
    assert not archive.path.exists()


def test_a_wrong_checksum_is_refused_and_nothing_is_left(monkeypatch, archive):
    served(monkeypatch)
    with pytest.raises(InputError, match=r"x\.zip: the checksum of what came is .*, expected 0+; it is removed"):
        download(archive._replace(md5="0" * 32))
    assert list(archive.path.parent.iterdir()) == []


def test_large_archives_of_ir_datasets_have_an_address_a_checksum_and_its_place():
    found = archive_of("beir", "trec-covid")
    assert found.url.endswith("/trec-covid.zip")
    assert len(found.md5) == 32
    assert found.path == ir_datasets.util.home_path() / "beir/trec-covid/source.zip"
    assert archive_of("msmarco-passage", "collectionandqueries").headers
    assert archive_of("beir", "scifact") is None  # small: ir_datasets' own download
    assert archive_of("beir", "none of these") is None


def test_an_archive_that_cannot_be_had_is_told_with_what_to_place_where(monkeypatch, tmp_path):
    monkeypatch.setattr(ir_datasets.util, "home_path", lambda: tmp_path)
    monkeypatch.setattr(downloads, "_is_there", lambda *_: False)
    served(monkeypatch, breaks=[0, 0, 0])
    (one,) = sets_of("trec-covid")
    with pytest.raises(NotDownloadedError, match=r"put corpus\.jsonl, .* of BEIR's trec-covid"):
        parts_of(one, "sets")


def refuse(*_, **__):
    raise AssertionError("the network was touched")


def test_offline_nothing_is_downloaded_and_all_sets_that_lack_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(requests, "get", refuse)
    sets = sets_of(["trec-covid", "scifact", "nanobeir/fiqa", "trec-dl-2019"])
    with no_downloads():
        assert not downloads_allowed()
        fetch("irds:beir/trec-covid", "beir", "trec-covid")
        problems = missing_sets(sets, str(tmp_path), open_all=True)
    assert set(problems) == {one.name for one in sets}
    assert all("downloads are switched off" in problem for problem in problems.values())
    assert downloads_allowed()


def test_the_model_hub_is_offline_inside_the_block_alone(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with hub_offline(True):
        assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
    assert "HF_HUB_OFFLINE" not in os.environ
    with hub_offline(False):
        assert not constants.HF_HUB_OFFLINE
