"""Milvus on a server: the same code, against milvus-lite behind a port that is as strict as a server."""

import logging

import pytest

from splade.engines.conformance import check_interruption, check_rankings, sample_for
from splade.engines.places.databases import milvus_calls
from splade.engines.places.databases.milvus import Milvus
from splade.engines.places.retries import Retries
from splade.files import InputError
from tests.engines.places import milvus_server
from tests.engines.places.stores import needs

TOKEN = "root:a-secret-token"


@pytest.fixture
def waits(monkeypatch):
    """The waits of calls that are made again, which take no time."""
    waited = []
    monkeypatch.setattr(milvus_calls, "RETRIES", Retries(attempts=3, sleep=waited.append))
    return waited


@pytest.fixture
def server(tmp_path, monkeypatch):
    needs("pymilvus", "milvus_lite")
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)
    state = milvus_server.State()
    with milvus_server.serving(tmp_path / "server", state) as uri:
        yield state, uri


def test_a_server_gives_the_scores_of_brute_force(server, tmp_path):
    _, uri = server
    check_rankings(lambda folder: Milvus(folder, uri=uri), sample_for("sparse"), tmp_path / "folder")
    files = [path.name for path in (tmp_path / "folder/milvus").iterdir()]
    assert "vectors.db" not in files


@pytest.mark.parametrize(
    ("version", "chosen", "built"),
    [
        ("v3.0.1", "auto", "BLOCK_MAX_MAXSCORE"),
        ("v2.6.4", "auto", "DAAT_MAXSCORE"),
        pytest.param("v3.1.0", "DAAT_WAND", "DAAT_WAND", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_has_block_max_forms_gets_one(server, version, chosen, built, tmp_path):
    state, uri = server
    state.version = version
    opened = Milvus(tmp_path, uri=uri, algorithm=chosen).build(sample_for("sparse").as_documents())
    assert set(state.algorithms.values()) == {built}
    told = opened.facts()
    assert (told["strategy"], told["version"]) == (built, version)


def test_an_algorithm_that_the_server_lacks_is_refused_with_its_version(server, tmp_path):
    state, uri = server
    state.version = "v2.6.4"
    engine = Milvus(tmp_path, uri=uri, algorithm="BLOCK_MAX_WAND")
    with pytest.raises(InputError, match=r"engine\.algorithm=BLOCK_MAX_WAND: Milvus has it since 3\.0.* is v2\.6\.4"):
        engine.build(sample_for("sparse").as_documents())


def test_a_busy_server_is_asked_again_and_nothing_is_there_twice(server, tmp_path, waits):
    state, uri = server
    state.trouble = {"Upsert": [8, "UNAVAILABLE", 2, 8], "Search": ["UNAVAILABLE", 4], "LoadCollection": [2]}
    check_rankings(lambda folder: Milvus(folder, uri=uri, batch=5), sample_for("sparse"), tmp_path)
    assert not any(state.trouble.values())
    assert waits  # what the client itself does not repeat


def test_an_error_that_no_wait_mends_is_told_in_words_and_without_a_traceback(server, tmp_path, waits, caplog):
    state, uri = server
    state.trouble = {"Upsert": [9]}
    with pytest.raises(InputError, match=rf"engine\.uri={uri}: the server takes no more documents .* in trouble"):
        Milvus(tmp_path, uri=uri).build(sample_for("sparse").as_documents())
    assert not waits
    assert "Traceback" not in caplog.text


def test_the_token_comes_from_a_file_or_the_environment_and_a_wrong_one_is_refused(
    server, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG)
    state, uri = server
    state.token = TOKEN
    documents = sample_for("sparse").as_documents()
    with pytest.raises(InputError, match=r"the token is refused\. Set the environment's MILVUS_TOKEN, or engine"):
        Milvus(tmp_path / "none", uri=uri).build(documents)
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert Milvus(tmp_path / "file", uri=uri, token_file=tmp_path / "token").build(documents).n_docs == 24
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    assert Milvus(tmp_path / "environment", uri=uri).build(documents).n_docs == 24
    monkeypatch.setenv("MILVUS_TOKEN", "root:another")
    with pytest.raises(InputError, match="the token is refused") as raised:
        Milvus(tmp_path / "wrong", uri=uri).build(documents)
    assert "another" not in str(raised.value)
    for secret in ("a-secret-token", "root:another"):
        assert secret not in caplog.text


def test_an_interrupted_build_goes_on_at_a_server(server, tmp_path):
    state, uri = server
    check_interruption(lambda folder: Milvus(folder, uri=uri), sample_for("sparse"), tmp_path)
    assert state.calls.count("CreateCollection") == 1


def test_no_server_is_told_in_words(tmp_path):
    needs("pymilvus")
    with pytest.raises(InputError, match=r"engine\.uri=http://127\.0\.0\.1:9: no answer .* Is Milvus running there"):
        Milvus(tmp_path, uri="http://127.0.0.1:9", timeout=0.2).build(sample_for("sparse").as_documents())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"algorithm": "BMW"}, r"engine\.algorithm='BMW': Milvus has auto, DAAT_MAXSCORE"),
        ({"algorithm": "DAAT_WAND"}, "milvus-lite has TAAT_NAIVE only"),
        ({"drop_ratio_search": 0.1}, r"milvus-lite searches exactly \(0\)"),
        ({"uri": "http://host:19530", "drop_ratio_search": 1.0}, "a share from 0 to below 1"),
        ({"uri": "host:19530"}, "starts with http:// or https://"),
        ({"uri": "https://me:hidden@host"}, r"engine\.uri=https://host, with a user or password in it"),
        ({"consistency": "weak"}, "Milvus has Strong, Session, Bounded, Eventually"),
        ({"batch": 0}, "must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_connected(settings, told, tmp_path):
    with pytest.raises((ValueError, InputError), match=told):
        Milvus(tmp_path, **settings)


def test_an_embedded_server_that_does_not_answer_is_started_again(tmp_path, monkeypatch):
    needs("pymilvus", "milvus_lite")
    import pymilvus

    begun, failing = [], [2]
    client = pymilvus.MilvusClient

    def slow(address, **named):
        begun.append(address)
        failing[0] -= 1
        if failing[0] >= 0:
            raise pymilvus.MilvusException(message="Fail connecting to server on 127.0.0.1:1")
        return client(address, **named)

    slow.create_schema, slow.prepare_index_params = client.create_schema, client.prepare_index_params
    monkeypatch.setattr(pymilvus, "MilvusClient", slow)
    assert Milvus(tmp_path / "first").places() == []  # nothing is there, and nothing is started
    check_rankings(lambda folder: Milvus(folder), sample_for("sparse"), tmp_path / "folder")
    assert len(begun) == 3
    failing[0] = 9
    with pytest.raises(InputError, match="connecting failed"):
        Milvus(tmp_path / "second").build(sample_for("sparse").as_documents())
    assert len(begun) == 6
