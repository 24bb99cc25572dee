"""Runs and results as systems: named, taken apart by query set, and refused where they do not compare."""

import gzip
import logging
from pathlib import Path

import pytest

from splade.comparing.systems import read_systems
from splade.files import InputError
from tests.comparing.fixtures import RANKS, files, result, run_of

VALUES = {"mrr_10": {"q1": 1.0, "q2": 0.5}}
OTHERS = {"mrr_10": {"q1": 0.0, "q2": 1.0}}


def test_runs_of_trec_and_json_are_judged_and_unanswered_queries_count_0(tmp_path):
    ours, theirs, qrels = files(tmp_path)
    ((dataset, systems),) = read_systems([ours, theirs], qrels=qrels, metrics=["mrr_10", "ndcg@10"]).items()
    assert (dataset, [system.name for system in systems]) == ("qrels", ["ours", "theirs"])
    assert systems[0].per_query["mrr_10"] == {"q1": 1.0, "q2": 1.0, "q3": 0.5, "q4": 0.0}
    assert systems[1].per_query["mrr_10"] == {"q1": 0.5, "q2": 1.0, "q3": 1.0, "q4": 0.25}
    assert list(systems[0].per_query) == ["mrr_10", "ndcg@10"]
    assert systems[0].costs == {}


def test_packed_runs_are_read_and_run_files_have_a_usual_metric(tmp_path):
    ours, theirs, qrels = files(tmp_path)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(Path(theirs).read_bytes()))
    (systems,) = read_systems([ours, tmp_path / "packed.json.gz"], qrels=qrels).values()
    assert [system.name for system in systems] == ["ours", "packed"]
    assert list(systems[0].per_query) == ["ndcg_cut_10"]


def test_results_tell_their_own_values_and_costs(tmp_path):
    facts = {"flops": 2.5, "latency_ms": {"mean": 1.5}, "index": {"index_bytes": 100}}
    result(tmp_path / "a", VALUES, system="ours", search_stats=facts)
    result(tmp_path / "b", OTHERS, system="theirs")
    (systems,) = read_systems([tmp_path / "a", tmp_path / "b"]).values()
    assert [(system.name, system.dataset, system.per_query) for system in systems] == [
        ("ours", "DEV", VALUES), ("theirs", "DEV", OTHERS)]  # fmt: skip
    assert systems[0].costs == {"flops": 2.5, "latency_ms": 1.5, "index_bytes": 100}


def test_a_metric_is_found_under_another_spelling_and_measured_where_a_result_lacks_it(tmp_path):
    _, theirs, qrels = files(tmp_path)
    values = {"mrr_10": {f"q{number}": 1 / rank if rank else 0.0 for number, rank in enumerate(RANKS["ours"], 1)}}
    result(tmp_path / "a", values, run=run_of(RANKS["ours"]), qrels=qrels)
    (systems,) = read_systems([tmp_path / "a", theirs], metrics=["MRR@10", "success_1"]).values()
    assert systems[0].per_query["MRR@10"] == values["mrr_10"]
    assert systems[0].per_query["success_1"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0, "q4": 0.0}
    assert systems[1].dataset == "DEV"  # the run is judged as the result beside it
    bare = [result(tmp_path / name, VALUES) for name in ("c", "d")]
    with pytest.raises(InputError, match=r"it has no map of each query \(it has mrr_10\), nor the path of the judge"):
        read_systems(bare, metrics=["map"])


@pytest.mark.parametrize("within", ["", "beir"])
def test_folders_of_several_query_sets_are_taken_apart(tmp_path, within):
    for name in ("ours", "theirs"):
        for dataset in ("DEV", "DL19") if name == "ours" else ("DEV", "DL20"):
            result(tmp_path / name / "out" / within / dataset, VALUES, dataset)
    found = read_systems([tmp_path / "ours" / "out", tmp_path / "theirs" / "out"])
    assert {name: [system.name for system in systems] for name, systems in found.items()} == {"DEV": ["ours", "theirs"]}


def test_query_sets_that_one_system_alone_has_are_left_out_and_said(tmp_path, caplog):
    result(tmp_path / "a" / "DEV", VALUES, "DEV")
    result(tmp_path / "a" / "DL19", VALUES, "DL19")
    result(tmp_path / "b" / "DEV", VALUES, "DEV")
    assert list(read_systems([tmp_path / "a", tmp_path / "b"])) == ["DEV"]
    assert "DL19: a alone has it" in caplog.text
    with pytest.raises(InputError, match="have a query set in common"):
        read_systems([tmp_path / "a" / "DL19", tmp_path / "b"])


def test_a_folder_of_systems_is_each_of_them(tmp_path):
    for name in ("bm25", "inverted", "rrf"):
        result(tmp_path / name / "TOY", VALUES, "TOY")
    (systems,) = read_systems([tmp_path]).values()
    assert [system.name for system in systems] == ["bm25", "inverted", "rrf"]


def test_systems_of_one_name_are_called_by_the_folder_that_differs_or_by_given_names(tmp_path):
    paths = [result(tmp_path / name / "out" / "TOY", VALUES, "TOY") for name in ("bm25", "splade")]
    assert [system.name for system in read_systems(paths)["TOY"]] == ["bm25", "splade"]
    assert [system.name for system in read_systems(paths, names=["x", "y"])["TOY"]] == ["x", "y"]
    with pytest.raises(InputError, match=r"2 systems are called 'x'; give each a name of its own, as 'compare.names"):
        read_systems(paths, names=["x", "x"])
    with pytest.raises(InputError, match="1 names for 2 systems"):
        read_systems(paths, names=["x"])
    with pytest.raises(InputError, match="2 systems are called 'TOY'"):
        read_systems([paths[0], paths[0]])


def test_other_query_sets_or_judgements_are_refused(tmp_path):
    a = result(tmp_path / "a", VALUES)
    b = result(tmp_path / "b", {"mrr_10": {"q1": 1.0, "q3": 1.0}})
    with pytest.raises(InputError, match=r"a has 2 judged queries, b 2 .* of which 1 are the same"):
        read_systems([a, b])
    paths = []
    for name, grade in (("c", 1), ("d", 2)):
        (tmp_path / f"{name}.qrels").write_text(f"q1 0 d1 {grade}\nq2 0 d2 1\n")
        paths.append(result(tmp_path / name, VALUES, qrels=str(tmp_path / f"{name}.qrels")))
    with pytest.raises(InputError, match=r"judged by .*c\.qrels and by .*d\.qrels, which differ"):
        read_systems(paths)


def test_runs_that_answer_no_query_in_common_are_refused(tmp_path):
    (tmp_path / "a.trec").write_text("q1 Q0 d1 1 2.0 a\n")
    (tmp_path / "b.trec").write_text("q2 Q0 d2 1 2.0 a\n")
    (tmp_path / "c.trec").write_text("q9 Q0 d2 1 2.0 a\n")
    (tmp_path / "qrels.txt").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    with pytest.raises(InputError, match="a and b answer no judged query in common"):
        read_systems([tmp_path / "a.trec", tmp_path / "b.trec"], qrels=str(tmp_path / "qrels.txt"))
    with pytest.raises(InputError, match=r"c\.trec and .*qrels\.txt: the run and the qrels share no query"):
        read_systems([tmp_path / "a.trec", tmp_path / "c.trec"], qrels=str(tmp_path / "qrels.txt"))


def test_one_qrels_does_not_judge_several_query_sets(tmp_path):
    for name in ("a", "b"):
        for dataset in ("DEV", "DL19"):
            result(tmp_path / name / dataset, VALUES, dataset)
    with pytest.raises(InputError, match="judges one query set, and there are several: DEV, DL19"):
        read_systems([tmp_path / "a", tmp_path / "b"], qrels="qrels.txt")


@pytest.mark.parametrize(
    ("paths", "settings", "told"),
    [
        (["ours.trec"], {"qrels": "qrels.json"}, "a comparison needs two"),
        (["ours.trec", "theirs.json"], {}, "compare.qrels is not set"),
        (["ours.trec", "none.trec"], {"qrels": "qrels.json"}, r"none\.trec: there is no such run"),
        (["ours.trec", "theirs.json"], {"qrels": "qrels.json", "metrics": ["mmr_10"]}, "did you mean mrr_10"),
        (["ours.trec", "theirs.json"], {"qrels": "qrels.json", "metrics": []}, "name a metric"),
        (["ours.trec", "empty"], {"qrels": "qrels.json"}, r"empty: neither a run file nor a result"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(tmp_path, monkeypatch, paths, settings, told):
    files(tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        read_systems(paths, **settings)


def test_two_results_on_one_query_set_in_a_folder_are_named(tmp_path):
    for depth in ("10", "100"):
        result(tmp_path / "run" / depth, VALUES, "DEV")
    with pytest.raises(InputError, match=r"run/10 and .*run/100 are results on the same query set 'DEV'"):
        read_systems([tmp_path / "run"])


def test_conventions_that_differ_are_said(tmp_path, caplog):
    timed = [{"latency_ms": {"mean": 1.0, "n_threads": n}} for n in (1, 8)]
    a, b = (
        result(tmp_path / name, VALUES, conventions={"self_matches": rule, "relevance_level": 1}, search_stats=stats)
        for name, rule, stats in zip("ab", ("off", "beir"), timed, strict=True)
    )
    with caplog.at_level(logging.WARNING):
        read_systems([a, b])
    assert "self_matches of a is 'off', and of b 'beir'" in caplog.text
    assert "threads of the latency of a is 1, and of b 8" in caplog.text
    assert "relevance_level" not in caplog.text


def test_a_run_that_was_removed_leaves_the_values_of_its_result(tmp_path):
    a, b = (result(tmp_path / name, VALUES) for name in "ab")
    (systems,) = read_systems([a, b]).values()
    assert systems[0].rankings(["q1"]) == {"q1": {}}
