"""The same commands on other systems: vectors in, a run with metrics and latency out, and no secret anywhere."""

import json
import logging

import pytest

from splade.engines.places.databases import qdrant_calls
from splade.engines.places.retries import Retries
from splade.files import read_json
from tests.commands.world import PASSAGES, QUESTIONS
from tests.data.writing import jsonl, put
from tests.engines.places import milvus_server, qdrant_server
from tests.engines.places.stores import EACH, STORES, needs

DOCS = [
    {"id": "d 1", "vector": {"sea": 2.0, "sun": 1.0}},
    {"id": "d2", "vector": {"sun": 3.0}},
    {"id": "d3", "vector": {}},
    {"id": "d4", "vector": {"snow": 1.5, "sea": 0.5}},
]
ASKED = [
    {"id": "q1", "vector": {"sea": 1.0, "ski": 3.0}},
    {"id": "q2", "vector": {"sun": 2.0, "sea": 2.0}},
    {"id": "q3", "vector": {"skate": 1.0}},
]
FOUND = {"q1": {"d 1": 2.0, "d4": 0.5}, "q2": {"d 1": 6.0, "d2": 6.0, "d4": 1.0}, "q3": {}}
INDEX = ("data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR")
RETRIEVE = (
    "data.Q_VECTORS_PATH=[queries.jsonl]",
    "data.EVAL_QREL_PATH=[qrels.tsv]",
    "config.retrieval_name=[NAME]",
    "config.eval_metric=[[mrr_10]]",
    "config.index_dir=DIR",
    "config.out_dir=OUT",
)
MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")


@pytest.fixture
def place(tmp_path):
    jsonl(tmp_path / "docs.jsonl", DOCS)
    jsonl(tmp_path / "queries.jsonl", ASKED)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td 1\t1\nq2\td2\t1\n")
    return tmp_path


def run_and_evaluate(splade, name, cwd, *own):
    splade("index", f"engine={name}", *own, *INDEX, cwd=cwd)
    splade("retrieve", f"engine={name}", *own, *RETRIEVE, cwd=cwd)
    assert read_json(cwd / "OUT/NAME/run.json") == FOUND
    assert read_json(cwd / "OUT/NAME/perf.json") == {"mrr_10": 0.75}  # q1 at rank 1, q2 at rank 2
    return read_json(cwd / "OUT/NAME/stats/search_stats.json")


@pytest.mark.parametrize("name", EACH)
def test_vectors_are_indexed_searched_and_evaluated_with_their_latency(name, place, splade):
    needs(*STORES[name].packages)
    stats = run_and_evaluate(splade, name, place)
    assert (stats["engine"], stats["system"]) == (name, f"{name} queries.jsonl")
    assert stats["index"]["n_docs"] == 4
    assert stats["index"]["empty_docs"] == 1
    assert stats["index"]["index_bytes"] > 0
    assert stats["latency_ms"]["n_queries"] == 3
    assert stats["latency_ms"]["p50"] > 0
    assert name in read_json(place / f"DIR/{name}/build_costs.json")


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_a_beir_set_is_evaluated_as_with_the_own_index(name, workplace, tmp_path, splade):
    needs(*STORES[name].packages)
    folder = tmp_path / "beir" / "tiny"
    jsonl(folder / "corpus.jsonl", [{"_id": f"d{n}", "text": text} for n, text in enumerate(PASSAGES)])
    jsonl(folder / "queries.jsonl", [{"_id": id, "text": text} for id, text in QUESTIONS.items()])
    rows = "".join(f"{query}\td{number}\t1\n" for number, query in enumerate(QUESTIONS))
    put(folder / "qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + rows)
    runs = []
    for engine in ("inverted", name):
        places = [f"config.{kind}_dir={tmp_path / engine / kind}" for kind in ("index", "out")]
        beir = ("+beir.dataset=tiny", f"+beir.dataset_path={tmp_path / 'beir'}")
        splade("beir_eval", f"engine={engine}", *MODEL, *places, *beir, cwd=workplace)
        found = tmp_path / engine / "out/beir/tiny"
        runs.append((read_json(found / "run.json"), read_json(found / "perf.json")))
        assert read_json(found / "stats/search_stats.json")["latency_ms"]["n_queries"] == len(QUESTIONS)
    (ours, metrics), (theirs, same) = runs
    assert same == metrics
    assert list(theirs) == list(ours)
    for query, found in ours.items():
        assert list(theirs[query]) == list(found)
        assert list(theirs[query].values()) == pytest.approx(list(found.values()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_queries_of_another_encoder_are_refused(name, workplace, tmp_path, splade, capsys):
    needs(*STORES[name].packages)
    texts = "data.COLLECTION_PATH=data/msmarco/full_collection"
    index = f"config.index_dir={tmp_path}"
    splade("index", f"engine={name}", *MODEL, texts, index, cwd=workplace)
    another = ("init_dict.model_type_or_dir=distilbert-base-uncased", "config.pretrained_no_yamlconfig=true")
    put(tmp_path / "qrels.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    queries = ["data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]", "config.retrieval_name=[DEV]"]
    queries += [f"data.EVAL_QREL_PATH=[{tmp_path / 'qrels.tsv'}]", "config.eval_metric=[[mrr_10]]"]
    with pytest.raises(SystemExit):
        splade("retrieve", f"engine={name}", *another, *queries, index, f"config.out_dir={tmp_path}", cwd=workplace)
    assert "made by the encoder" in capsys.readouterr().err


def written_with(folder, secret):
    """The files below ``folder`` that have ``secret`` in them, or in their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if secret.encode() in path.read_bytes() or secret in str(path)]


@pytest.mark.parametrize("from_file", [pytest.param(True, marks=pytest.mark.slow), False], ids=["file", "environment"])
def test_a_key_is_in_no_config_no_result_and_no_log(from_file, place, splade, tmp_path_factory, caplog, capsys):
    needs("qdrant_client")
    caplog.set_level(logging.DEBUG)
    qdrant = qdrant_server.Qdrant(key="a-secret-key")
    (tmp_path_factory.getbasetemp() / "key").write_text("a-secret-key\n")
    own = [f"engine.api_key_file={tmp_path_factory.getbasetemp() / 'key'}"] if from_file else []

    def with_key(*arguments, cwd):
        splade(*arguments, cwd=cwd, **({} if from_file else {"QDRANT_API_KEY": "a-secret-key"}))

    with qdrant_server.serving(qdrant) as url:
        stats = run_and_evaluate(with_key, "qdrant", place, f"engine.url={url}", *own)
    assert stats["version"] == "qdrant 1.20.0"
    assert written_with(place, url.rpartition(":")[2])  # the address is there; the search finds what there is
    assert not written_with(place, "a-secret-key")
    said = capsys.readouterr()
    assert "a-secret-key" not in caplog.text + said.out + said.err


def test_a_token_is_in_no_config_no_result_and_no_log(place, splade, tmp_path_factory, caplog, capsys):
    needs("pymilvus", "milvus_lite")
    caplog.set_level(logging.DEBUG)
    state = milvus_server.State(token="root:a-secret-token")

    def with_token(*arguments, cwd):
        splade(*arguments, cwd=cwd, MILVUS_TOKEN="root:a-secret-token")

    with milvus_server.serving(tmp_path_factory.mktemp("server"), state) as uri:
        stats = run_and_evaluate(with_token, "milvus", place, f"engine.uri={uri}")
    assert stats["strategy"] == "BLOCK_MAX_MAXSCORE"
    assert not written_with(place, "a-secret-token")
    said = capsys.readouterr()
    assert "a-secret-token" not in caplog.text + said.out + said.err


@pytest.mark.parametrize(
    ("command", "arguments", "name", "setting"),
    [("index", INDEX, "milvus", "engine.uri"), ("retrieve", RETRIEVE, "qdrant", "engine.url")],
)
def test_a_password_in_an_address_is_refused_before_anything_is_written(
    command, arguments, name, setting, place, splade, capsys, caplog
):
    before = sorted(place.rglob("*"))
    with pytest.raises(SystemExit):
        splade(command, f"engine={name}", f"{setting}=http://me:hidden@host:1234", *arguments, cwd=place)
    told = capsys.readouterr().err
    assert f"{setting}=http://host:1234, with a user or password in it" in told
    assert "hidden" not in told + caplog.text
    assert sorted(place.rglob("*")) == before


def test_a_server_that_goes_away_is_told_in_words_and_the_same_command_completes(place, splade, monkeypatch, capsys):
    needs("qdrant_client")
    monkeypatch.setattr(qdrant_calls, "RETRIES", Retries(attempts=3, sleep=lambda seconds: None))
    qdrant = qdrant_server.Qdrant()
    with qdrant_server.serving(qdrant) as url:
        qdrant.trouble = [("points", 503)] * 3
        with pytest.raises(SystemExit):
            splade("index", "engine=qdrant", f"engine.url={url}", *INDEX, cwd=place)
        assert "upsert failed (503)" in capsys.readouterr().err
        run_and_evaluate(splade, "qdrant", place, f"engine.url={url}")
        assert len(qdrant.collections) == 1
    assert json.loads((place / "DIR/qdrant/state.json").read_text())["n_full"] == 3
