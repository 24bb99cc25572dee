"""Qdrant on a server: against a small one that refuses what the real one does, busy in the middle."""

import logging

import pytest

from splade.engines.conformance import check_engine, check_rankings, sample_for
from splade.engines.places.databases import parts, qdrant_calls
from splade.engines.places.databases.qdrant import Qdrant
from splade.engines.places.retries import Retries
from splade.files import InputError
from tests.engines.places import qdrant_server
from tests.engines.places.stores import needs

KEY = "a-secret-key"


@pytest.fixture
def waits(monkeypatch):
    """The waits of calls that are made again, which take no time."""
    waited = []
    for name in ("RETRIES", "FIRST"):
        monkeypatch.setattr(qdrant_calls, name, Retries(attempts=4, sleep=waited.append))
    return waited


@pytest.fixture
def server(monkeypatch):
    needs("qdrant_client")
    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    qdrant = qdrant_server.Qdrant()
    with qdrant_server.serving(qdrant) as url:
        yield qdrant, url


@pytest.mark.slow  # the test of a busy server is of its kind
def test_an_engine_at_a_server_keeps_the_contract(server, tmp_path):
    qdrant, url = server
    check_engine(lambda folder: Qdrant(folder, url=url), tmp_path)
    documents = sample_for("sparse").documents
    collection = next(iter(qdrant.collections.values()))
    assert {number: point[1]["id"] for number, point in collection["points"].items()} == {
        number: documents.ids[number]
        for number in range(len(documents.ids))
        if documents.rows.offsets[number] < documents.rows.offsets[number + 1]
    }


def test_a_busy_server_is_given_the_time_that_it_asks_for_and_nothing_is_there_twice(server, tmp_path, waits, caplog):
    qdrant, url = server
    qdrant.trouble = [
        ("points", 429, {"Retry-After": "7"}), ("points", 503), ("points", 429), ("query", 502), ("exists", 504),
    ]  # fmt: skip
    qdrant.busy = ["yellow", "grey", "yellow"]
    check_rankings(lambda folder: Qdrant(folder, url=url, batch=5), sample_for("sparse"), tmp_path)
    assert not qdrant.trouble
    assert not qdrant.busy
    assert max(waits) == 7.0
    said = [record.getMessage() for record in caplog.records]
    assert any("upsert: busy; again in 7.0 s (2 of 4)" in line for line in said)
    assert not any("\n" in line for line in said)
    assert ("PATCH", f"/collections/{next(iter(qdrant.collections))}") in qdrant.asked


def test_a_batch_over_the_limit_of_a_request_is_sent_in_parts(server, tmp_path, monkeypatch):
    qdrant, url = server
    qdrant.limit = 2500
    engine, documents = Qdrant(tmp_path, url=url), sample_for("sparse").as_documents()
    store = engine.store(tmp_path)
    store.create("whole", {})
    with pytest.raises(InputError, match=r"a request is larger than the server takes \(upsert\)\. Lower engine\.batch"):
        store.put("whole", 0, sample_for("sparse").documents)
    monkeypatch.setattr(parts.parts, "__defaults__", (40,))
    assert engine.build(documents).n_docs == 24


@pytest.mark.parametrize(("status", "told"), [(401, "none"), (403, "wrong")])
def test_a_wrong_key_is_refused_without_repeating_it(server, status, told, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    qdrant, url = server
    qdrant.key = KEY
    (tmp_path / "key").write_text("another-key")
    engine = Qdrant(tmp_path, url=url, api_key_file=tmp_path / "key" if told == "wrong" else None)
    with pytest.raises(
        InputError, match=rf"the API key is refused \({status}\)\. Set the environment's QDRANT"
    ) as raised:
        engine.build(sample_for("sparse").as_documents())
    assert "another-key" not in str(raised.value) + caplog.text


def test_the_key_comes_from_a_file_or_the_environment(server, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    qdrant, url = server
    qdrant.key = KEY
    documents = sample_for("sparse").as_documents()
    (tmp_path / "key").write_text(KEY + "\n")
    assert Qdrant(tmp_path / "file", url=url, api_key_file=tmp_path / "key").build(documents).n_docs == 24
    monkeypatch.setenv("QDRANT_API_KEY", KEY)
    assert Qdrant(tmp_path / "environment", url=url).build(documents).n_docs == 24
    assert KEY not in caplog.text


def test_a_server_that_keeps_no_metadata_is_searched_too(server, tmp_path):
    qdrant, url = server
    qdrant.version = "1.15.3"
    engine = Qdrant(tmp_path, url=url)
    engine.build(sample_for("sparse").as_documents())
    assert engine.open().facts()["version"] == "qdrant 1.15.3"
    assert engine.store(tmp_path).about(engine.places()[0]) is None


def test_a_place_that_another_command_made_anew_is_refused(server, tmp_path):
    qdrant, url = server
    engine = Qdrant(tmp_path, url=url)
    engine.build(sample_for("sparse").as_documents())
    (collection,) = qdrant.collections.values()
    collection["given"]["metadata"] = {"build": "another", "fingerprint": "f" * 32}
    with pytest.raises(InputError, match="built by another command since"):
        engine.open()


def test_two_folders_with_the_same_documents_share_a_server_in_peace(server, tmp_path):
    _, url = server
    sample = sample_for("sparse")
    ours, theirs = (Qdrant(tmp_path / name, url=url) for name in ("ours", "theirs"))
    opened = ours.build(sample.as_documents())
    theirs.build(sample.as_documents())
    assert len(ours.places()) == 2
    theirs.drop()
    assert ours.open().n_docs == opened.n_docs
    assert len(ours.places()) == 1


def test_a_place_is_listed_and_dropped(server, tmp_path):
    qdrant, url = server
    engine = Qdrant(tmp_path, url=url)
    engine.build(sample_for("sparse").as_documents())
    qdrant.collections["of others"] = {"given": {"sparse_vectors": {}}, "points": {}}
    assert len(engine.places()) == 2
    engine.drop()
    assert engine.places() == ["of others"]


def test_what_the_server_finds_wrong_is_told_in_its_words(server, tmp_path, waits):
    qdrant, url = server
    store = Qdrant(tmp_path, url=url).store(tmp_path)
    with pytest.raises(InputError, match=rf"engine\.url={url}: upsert failed \(404\): Not found: Collection `none`"):
        store.put("none", 0, sample_for("sparse").documents)
    assert not waits
    store.create("red", {})
    qdrant.busy = ["red"]
    with pytest.raises(InputError, match=r"red is red: ok\. See the server's log"):
        store.finish("red")


def test_no_server_is_told_in_words_after_a_few_attempts(tmp_path, waits):
    needs("qdrant_client")
    with pytest.raises(InputError, match=r"engine\.url=http://127\.0\.0\.1:9: no answer .* Is Qdrant running there"):
        Qdrant(tmp_path, url="http://127.0.0.1:9").build(sample_for("sparse").as_documents())
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "host:6333"}, "starts with http:// or https://"),
        ({"url": "https://me:hidden@host"}, r"engine\.url=https://host, with a user or password in it"),
        ({"datatype": "int4"}, r"engine\.datatype='int4': Qdrant has float32, float16, uint8"),
        ({"full_scan_threshold": -1}, "0 or more"),
        ({"batch": 0}, "must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_connected(settings, told, tmp_path):
    with pytest.raises((ValueError, InputError), match=told):
        Qdrant(tmp_path, **settings)
