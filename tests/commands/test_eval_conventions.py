"""The conventions of ``config.eval_*`` reach search and evaluation, and stand in the result with the system's name."""

import functools
import json
from copy import deepcopy

import pytest
from omegaconf import OmegaConf

from splade.config import configure
from splade.evaluate import evaluate
from splade.files import InputError, read_json
from splade.index import index
from splade.results import read_result
from splade.retrieve import retrieve
from tests.data.writing import put, tsv


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three documents, of which two are queries as well, in an index of BM25's; one query finds nothing."""
    folder = tmp_path_factory.mktemp("conventions")
    tsv(folder / "docs/raw.tsv", [("a", "sun"), ("b", "sea sea sun wind"), ("c", "sun sea")])
    tsv(folder / "queries/raw.tsv", [("a", "sun"), ("b", "sea"), ("z", "zebra")])
    put(folder / "qrels.json", json.dumps({"a": {"a": 1, "c": 2}, "b": {"c": 1}, "z": {"c": 1}}))
    index(
        configure("index", ["engine=bm25", f"data.COLLECTION_PATH={folder}/docs", f"config.index_dir={folder}/index"])
    )
    return folder


@functools.cache
def composed(command, place):
    """The config of a command, composed once; tests change values of copies."""
    asked = [
        "engine=bm25", f"config.index_dir={place}/index", "config.out_dir=x",
        f"data.Q_COLLECTION_PATH=[{place}/queries]", f"data.EVAL_QREL_PATH=[{place}/qrels.json]",
        "config.retrieval_name=[arguana]", "config.eval_metric=[[mrr_10]]",
    ]  # fmt: skip
    return configure(command, asked)


@pytest.fixture
def result(place, tmp_path):
    """``result(*settings)``: what `retrieve` writes of the query set ``arguana``."""

    def run(*settings, command="retrieve"):
        cfg = deepcopy(composed(command, place))
        for each in (f"config.out_dir={tmp_path}", *settings):
            address, _, value = each.partition("=")
            OmegaConf.update(cfg, address, int(value) if value.isdigit() else value, force_add=True)
        (retrieve if command == "retrieve" else evaluate)(cfg)
        return read_result(tmp_path / "arguana")

    return run


def test_self_matches_are_dropped_by_the_search_and_exactly_k_results_stay(result):
    kept = result("config.top_k=2")
    assert (list(kept.run()["a"]), list(kept.run()["b"])) == (["a", "c"], ["b", "c"])
    assert kept.metrics == {"mrr_10": pytest.approx((1 + 1 / 2 + 0) / 3)}
    assert kept.fact("self_matches") is None
    dropped = result("config.top_k=2", "config.eval_self_matches=arguana_quora")
    assert (list(dropped.run()["a"]), list(dropped.run()["b"])) == (["c", "b"], ["c"])
    assert dropped.metrics == {"mrr_10": pytest.approx((1 + 1 + 0) / 3)}
    assert dropped.fact("self_matches") == {"dropped_hits": 2, "dropped_relevant": 1, "queries": ["a", "b"]}
    assert dropped.fact("search_stats.top_k") == 2
    # Evaluated once more, the result still says what its search has dropped.
    assert result(command="evaluate").fact("self_matches")["dropped_hits"] == 2
    assert result("config.top_k=2").fact("self_matches") is None


def test_a_run_that_is_evaluated_loses_its_self_matches_too(result):
    result()
    assert result("config.eval_self_matches=beir", command="evaluate").metrics == {"mrr_10": pytest.approx(2 / 3)}


def test_ties_unanswered_queries_and_relevance_level_change_the_figure_and_are_told(result, tmp_path, capsys):
    rules = ("config.eval_ties=trec_eval", "config.eval_unanswered=left_out", "config.eval_relevance_level=2")
    found = result(*rules)
    assert found.metrics == {"mrr_10": pytest.approx((1 / 2 + 0) / 2)}  # only c for a is relevant
    assert found.fact("conventions") == {
        "unanswered": "left out",
        "ties": "trec_eval",
        "self_matches": "self-matches kept (off)",
        "relevance_level": 2,
    }
    assert set(found.per_query["mrr_10"]) == {"a", "b"}
    printed = capsys.readouterr().out
    assert "1 without results (they are left out" in printed
    assert "ties as trec_eval has them; unanswered queries left out; relevant from grade 2 on" in printed


def test_the_system_is_named_by_its_engine_or_as_the_user_says(result, tmp_path):
    assert result().system == "bm25(k1=0.9, b=0.4)"
    assert result("config.system_name=mine").system == "mine"
    assert result(command="evaluate").system == "mine"
    assert result("config.system_name=theirs", command="evaluate").system == "theirs"
    assert result("config.search.strategy=exhaustive").system == "bm25(k1=0.9, b=0.4, strategy=exhaustive)"
    assert read_json(tmp_path / "arguana/details.json")["dataset"] == "arguana"


@pytest.mark.parametrize("setting", ["config.eval_ties=x", "config.eval_unanswered=x", "config.eval_self_matches=x"])
def test_an_unknown_rule_is_refused_with_its_address(result, setting):
    with pytest.raises((InputError, ValueError), match=setting.partition("=")[0]):
        result(setting)


def test_bm25s_baseline_is_measured_under_the_rules_of_the_model(place, result):
    from splade.all import bm25_baselines

    rules = ("config.eval_self_matches=beir", "config.eval_unanswered=left_out")
    own = result("config.top_k=2", *rules).metrics
    cfg = deepcopy(composed("retrieve", place))
    for each in ("config.top_k=2", f"data.COLLECTION_PATH={place}/docs", "config.baseline=bm25", *rules):
        address, _, value = each.partition("=")
        OmegaConf.update(cfg, address, int(value) if value.isdigit() else value, force_add=True)
    cfg.config.engine = None
    assert bm25_baselines(cfg) == {"arguana": own} == {"arguana": {"mrr_10": 1.0}}
