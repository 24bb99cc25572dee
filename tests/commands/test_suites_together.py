"""Suites on several processes, sets that ir_datasets has without a network, and an independent oracle of SciFact."""

import math
from pathlib import Path

import pytest

from splade.beir_eval import beir_eval
from splade.config import configure
from splade.data.qrels import read_qrels
from splade.files import read_json
from splade.indexing import InvertedIndex
from splade.results import read_result
from tests.forked import run_well
from tests.shared import shared_data
from tests.suites.trees import beir, hub

MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")


@pytest.mark.slow
def test_processes_share_the_encoding_of_each_set_and_the_first_one_does_the_rest(workplace, tmp_path):
    (tmp_path / "MODEL").symlink_to(workplace / "MODEL")
    for name in ("adi", "cranfield"):
        beir(tmp_path / "sets" / name)
    command = (
        "-m", "splade.beir_eval", "+beir.dataset=[adi,cranfield]", "+beir.dataset_path=sets", *MODEL,
        "config.index_dir=index", "config.out_dir=out",
    )  # fmt: skip
    told = [ended.err for ended in run_well(*command, cwd=tmp_path, processes=2)]
    for number, each in enumerate(told, 1):
        assert each.count(f"shard-0000{number}-of-00002") == 2
    assert sum(each.count("runs and metrics") for each in told) == 1
    suite = read_json(tmp_path / "out/beir/suite.json")
    assert list(suite["sets"]) == ["adi", "cranfield"]
    assert list(InvertedIndex.open(tmp_path / "index/beir/adi").doc_ids) == ["d1", "d2", "d3", "d4"]
    assert not list((tmp_path / "index/beir").glob(".*vectors*"))
    # One process finds what two have made.
    alone = run_well(*command, cwd=tmp_path)[0].err
    assert alone.count("holds this result already") == 2


NO_NETWORK = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("the network was touched")
socket.socket.connect = socket.getaddrinfo = refuse
from splade.beir_eval import main
sys.argv = ["beir_eval", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
def test_what_ir_datasets_has_on_this_machine_is_evaluated_without_a_network(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "made").mkdir()
    hub(tmp_path / "made/fiqa")
    for name in ("corpus", "queries", "qrels"):
        (file,) = (tmp_path / "made/fiqa" / name).iterdir()
        (tmp_path / "home/nano-beir/fiqa").mkdir(parents=True, exist_ok=True)
        file.rename(tmp_path / f"home/nano-beir/fiqa/{name}.parquet")
    run_well(
        "-c", NO_NETWORK, "+beir.dataset=nanobeir/fiqa", "engine=bm25", "+beir.offline=true", "config.index_dir=index",
        "config.out_dir=out", cwd=tmp_path, IR_DATASETS_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    result = read_result(tmp_path / "out/beir/nanobeir/fiqa")
    assert result.metrics["mrr_10"] == 1.0
    assert result.fact("rests_on.set.qrels") == "irds:nano-beir/fiqa"


def ndcg_at_10(ranking, grades):
    """nDCG@10 with linear gains, from its definition."""
    gains = [max(grades.get(doc, 0), 0) / math.log2(place + 2) for place, doc in enumerate(ranking[:10])]
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    ideal = sum(grade / math.log2(place + 2) for place, grade in enumerate(best))
    return sum(gains) / ideal if ideal else 0.0


def reciprocal_rank_at_10(ranking, grades):
    return next((1 / place for place, doc in enumerate(ranking[:10], 1) if grades.get(doc, 0) > 0), 0.0)


def recall_at_100(ranking, grades):
    relevant = {doc for doc, grade in grades.items() if grade > 0}
    return len(relevant & set(ranking[:100])) / len(relevant) if relevant else 0.0


BY_DEFINITION = {"ndcg_cut_10": ndcg_at_10, "mrr_10": reciprocal_rank_at_10, "recall_100": recall_at_100}


def checked_by_definition(tmp_path, name, path):
    """Evaluate a set by BM25; compare each metric with its definition over the run that was written, line by line."""
    where = [f"config.index_dir={tmp_path / 'index'}", f"config.out_dir={tmp_path / 'out'}"]
    asked = [f"+beir.dataset={name}", f"+beir.dataset_path={path}", "engine=bm25", *where]
    beir_eval(configure("beir_eval", asked))
    folder, qrels = tmp_path / "out/beir" / name, read_qrels(f"{Path(path) / name}:test")
    rankings = {query: [] for query in qrels}
    for line in (folder / "run.trec").read_text().splitlines():
        query, _, doc, *_ = line.split()
        rankings[query].append(doc)
    result = read_result(folder)
    for metric, definition in BY_DEFINITION.items():
        values = {query: definition(rankings[query], grades) for query, grades in qrels.items()}
        assert result.per_query[metric] == pytest.approx(values, abs=1e-9), metric
        assert result.metrics[metric] == pytest.approx(sum(values.values()) / len(values), abs=1e-9)
    return result, qrels


def test_adis_figures_are_those_of_the_definitions(tmp_path):
    checked_by_definition(tmp_path, "adi", shared_data("adi").parent)


@pytest.fixture(scope="module")
def scifact(tmp_path_factory):
    return checked_by_definition(tmp_path_factory.mktemp("scifact"), "scifact", shared_data("scifact").parent)


@pytest.mark.slow
def test_scifacts_figures_are_those_of_the_definitions(scifact):
    result, qrels = scifact
    assert len(result.per_query["ndcg_cut_10"]) == len(qrels) == 300


@pytest.mark.slow
def test_scifacts_figures_are_those_of_an_independent_package(scifact):
    measures = pytest.importorskip("ir_measures")
    result, qrels = scifact
    wanted = {"ndcg_cut_10": "nDCG@10", "mrr_10": "RR@10", "recall_100": "R@100"}
    # Ranks for scores, so that the package, which breaks ties by document id, sees the order that was written.
    run = {query: {doc: -float(place) for place, doc in enumerate(found)} for query, found in result.run().items()}
    theirs = measures.calc_aggregate([measures.parse_measure(name) for name in wanted.values()], qrels, run)
    for ours, name in wanted.items():
        assert result.metrics[ours] == pytest.approx(theirs[measures.parse_measure(name)], abs=1e-9)


@pytest.mark.slow
def test_an_engine_that_no_process_encodes_for_is_run_by_the_first_one_alone(tmp_path):
    beir(tmp_path / "sets/adi")
    command = ("-m", "splade.beir_eval", "+beir.dataset=adi", "+beir.dataset_path=sets", "engine=bm25")
    told = run_well(*command, "config.index_dir=index", "config.out_dir=out", cwd=tmp_path, processes=2)
    assert sum(each.err.count("runs and metrics") for each in told) == 1
    assert "an index of texts is made by one process: the other 1 leave" in "".join(each.err for each in told)
    assert read_result(tmp_path / "out/beir/adi").metrics["mrr_10"] == 1.0
