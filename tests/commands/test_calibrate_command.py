"""``splade.calibrate``: queries by text or as vectors, stored with the index and told wherever it is used."""

import json

import pytest

from splade.indexing import InvertedIndex
from tests.commands.test_update_command import found, place, run_command  # noqa: F401 - fixtures
from tests.data.writing import jsonl

MANY = [{"id": f"q{n}", "vector": {"sea": 1.0 + n % 7, "sun": 0.5, "snow": 1.0}} for n in range(200)]


def test_given_vectors_calibrate_an_index_and_the_accounts_name_them(place, run_command, caplog):  # noqa: F811
    caplog.set_level("INFO")
    jsonl(place / "many.jsonl", MANY)
    before = (place / "index" / "inverted_index" / "header.json").read_bytes()
    run_command("calibrate", "data.Q_VECTORS_PATH=[many.jsonl]", "config.index_dir=index")
    made = InvertedIndex.open(place / "index").calibration
    assert (made.source, made.n_queries, made.n_own[1]) == ("many.jsonl", 200, 200)
    assert (place / "index" / "inverted_index" / "header.json").read_bytes() == before
    stats = json.loads((place / "index" / "index_stats.json").read_text())
    assert stats["calibration"]["queries"] == "many.jsonl"
    assert stats["calibration"]["date"] == made.date
    assert f"calibrated on 200 queries of many.jsonl ({made.date})" in caplog.text
    assert "k = 10, all queries: exact, to have a recall of 0.99" in caplog.text, "there are no ten documents"
    run_command(
        "retrieve", "data.Q_VECTORS_PATH=[asked.jsonl]", "data.EVAL_QREL_PATH=[null]", "config.retrieval_name=[A]",
        "config.index_dir=index", "config.out_dir=out", "engine.strategy=approximate", "config.top_k=2",
    )  # fmt: skip
    told = json.loads((place / "out" / "A" / "stats" / "search_stats.json").read_text())
    assert told["calibration"]["queries"] == "many.jsonl"


def test_what_cannot_be_calibrated_is_refused_in_words(place, run_command):  # noqa: F811
    asked = "data.Q_VECTORS_PATH=[asked.jsonl]"
    assert "there is no index here" in run_command("calibrate", asked, "config.index_dir=x", fails=True)
    jsonl(place / "ids.jsonl", [{"id": "q", "vector": {"3": 1.0}}])
    told = run_command("calibrate", "data.Q_VECTORS_PATH=[ids.jsonl]", "config.index_dir=index", fails=True)
    assert "its keys are whole numbers" in told
    assert not (place / "index" / "calibration").exists()


def test_statistics_keep_what_the_build_counted(place, run_command):  # noqa: F811
    path = place / "index" / "index_stats.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"cut_docs": 3}))
    run_command("calibrate", "data.Q_VECTORS_PATH=[asked.jsonl]", "config.index_dir=index")
    assert json.loads(path.read_text())["cut_docs"] == 3


@pytest.mark.parametrize("engine", ["inverted", "bm25"])
def test_queries_by_text_calibrate_the_index_of_a_model_and_one_of_bm25(engine, splade, workplace):
    """As they are searched: encoded by the model, or weighed by BM25."""
    model = [] if engine == "bm25" else ["init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true"]
    where = [f"engine={engine}", f"config.index_dir=calibrated/{engine}", *model]
    splade("index", "data.COLLECTION_PATH=data/msmarco/full_collection", *where, cwd=workplace)
    splade("calibrate", "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]", *where, cwd=workplace)
    made = InvertedIndex.open(workplace / "calibrated" / engine).calibration
    assert made.source == "data/msmarco/dev_queries"
    assert made.n_own.sum() > 0
