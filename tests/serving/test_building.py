"""A server made of a config: its model, its index and their texts, and what it does not serve."""

import shutil

import pytest

from splade.config import configure
from splade.engines import Bm25, Documents
from splade.engines.protocol import texts_of
from splade.files import InputError
from splade.records import Text
from splade.serving.limits import Limits
from splade.workflow.engines import FromModel
from splade.workflow.serving.building import refuse_pickles, serving_from
from tests.serving.parts import DOCUMENTS, ask


def config(folder, *overrides):
    own = [f"config.index_dir={folder}/index", f"config.checkpoint_dir={folder}/checkpoint"]
    return configure("serve", [*own, "serve.search_threads=1", *overrides])


@pytest.fixture
def made(table):
    """``made(overrides)``: a server of the table model, closed at the end."""
    servers = []

    def make(*overrides, folder=table[0]):
        servers.append(serving_from(config(folder, *overrides)))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_a_model_of_a_folder_is_served_with_its_texts(made, table):
    serving = made()
    hits = ask(serving, "/search", {"query": "whale", "k": 2}).json()["hits"]
    assert {hit["text"] for hit in hits} <= set(DOCUMENTS.values())
    assert ask(serving, "/info", method="GET").json()["model_sha"] == table[1].fingerprint()
    assert set(serving.first.sides.loaded) == {"query"}


def test_documents_of_a_table_model_are_encoded_when_one_is_asked_for(made, table):
    serving = made()
    (entries,) = ask(serving, "/embed_sparse", {"inputs": "heart attack"}).json()
    expected = table[2].vectors([0])
    assert [entry["index"] for entry in entries] == expected.columns.tolist()
    assert [entry["value"] for entry in entries] == pytest.approx(expected.weights.tolist(), rel=1e-5)
    hit = ask(serving, "/search", {"query": "heart attack", "k": 1, "explain": True}).json()["hits"][0]
    assert any(term["document_spans"] for term in hit["terms"])


def test_vectors_alone_are_served_without_an_index(made, tmp_path):
    serving = made("serve.search=false", f"config.index_dir={tmp_path}/nothing")
    assert ask(serving, "/embed_sparse", {"inputs": "heart", "prompt_name": "query"}).status_code == 200
    assert ask(serving, "/search", {"query": "heart"}).status_code == 424


def test_a_place_without_an_index_is_refused_with_the_command_that_makes_one(table, tmp_path):
    with pytest.raises(InputError, match=r"there is no index to serve\. Make one \(python -m splade\.index\)"):
        serving_from(config(table[0], f"config.index_dir={tmp_path}"))


def test_a_request_names_one_of_several_systems(made, table, tmp_path):
    shutil.copytree(table[0] / "index", tmp_path / "index")
    serving = made(f"serve.others.copy.index_dir={tmp_path}/index")
    answers = [ask(serving, "/search", {"query": "whale", "system": name}).json() for name in ("default", "copy")]
    assert answers[0]["hits"] == answers[1]["hits"]
    assert set(ask(serving, "/info", method="GET").json()["systems"]) == {"default", "copy"}


def test_another_engine_answers_at_the_same_address(made, tmp_path):
    texts = texts_of([Text(id, text) for id, text in DOCUMENTS.items()])
    Bm25(tmp_path / "index").build(Documents(lambda start: [texts], None, None, "", {}))
    serving = made("engine=bm25", folder=tmp_path)
    answer = ask(serving, "/search", {"query": "whales swim", "explain": True}).json()
    assert (answer["engine"], answer["hits"][0]["id"]) == ("bm25", "d3")
    for hit in answer["hits"]:
        assert sum(term["product"] for term in hit["terms"]) == pytest.approx(hit["score"], abs=1e-5)
    refused = ask(serving, "/embed_sparse", {"inputs": "heart"})
    assert (refused.status_code, refused.json()["error_type"]) == (424, "backend")


def test_an_index_of_another_file_of_texts_is_shown_without_them(table, tmp_path, made, caplog):
    shutil.copytree(table[0] / "checkpoint", tmp_path / "checkpoint")
    index = table[2]
    metadata = {"collection": str(tmp_path / "raw.tsv"), "bytes": 1, "modified_ns": 1}
    (tmp_path / "raw.tsv").write_text("d1\tanother text\n")
    former, index.metadata = index.metadata, metadata
    index.save(tmp_path / "index")
    index.metadata, index.path = former, table[0] / "index"
    serving = made(folder=tmp_path)
    assert "has changed since it was indexed" in caplog.text
    assert all("text" not in hit for hit in ask(serving, "/search", {"query": "heart"}).json()["hits"])


@pytest.mark.parametrize(
    ("overrides", "length", "top"),
    [
        ((), 32, -1),
        (("config.max_length_q=7",), 7, -1),
        (("config.max_length=9",), 9, -1),
        (("init_dict.top_q=2",), 32, 2),
    ],
)
def test_queries_are_looked_up_with_the_settings_that_the_user_named(table, overrides, length, top):
    encoder = FromModel(config(table[0], *overrides)).table
    assert (encoder.max_length, encoder.top) == (length, top)


@pytest.mark.parametrize("override", ["init_dict.top_d=5", "init_dict.agg=sum", "config.matching_type=splade"])
def test_a_setting_that_the_model_has_to_judge_takes_the_model(table, override):
    assert FromModel(config(table[0], override)).table is None


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "adapter_model.bin"])
def test_weights_in_a_pickle_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match=rf"a pickle \({name}\).*safetensors"):
        refuse_pickles(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    refuse_pickles(tmp_path)


@pytest.mark.parametrize("limit", [{"max_k": 0}, {"queue_size": -1}, {"deadline_seconds": 0.0}])
def test_a_limit_out_of_range_is_refused(limit):
    (name,) = limit
    with pytest.raises(ValueError, match=rf"serve\.{name}="):
        Limits(**limit).checked()
