"""``beir_eval`` over suites: one table, results that are kept, indexes that are kept or dropped, any engine."""

import functools
import json
import os
import shutil
import socket
from copy import deepcopy

import pytest
import yaml
from omegaconf import OmegaConf

from splade.beir_eval import beir_eval
from splade.config import configure
from splade.data.text_files.sources import NotDownloadedError
from splade.evaluation.runs import read_run
from splade.files import InputError, read_json
from splade.results import read_result
from splade.suites.catalogue import FORUMS, NANO
from splade.workflow.evaluating import suite_tasks, suites
from tests.suites.trees import DOCUMENTS, beir, hub, judged

BM25 = "engine=bm25"


@functools.cache
def composed(engine):
    """The config of a suite, composed once; tests change values of copies."""
    return configure("beir_eval", ["+beir.dataset=x", "config.index_dir=i", "config.out_dir=o", *engine])


@pytest.fixture
def suite(tmp_path):
    """``suite(dataset, *settings)``: the metrics by set of the trees in ``tmp_path/sets``, by BM25."""

    def run(dataset, *settings, engine=(BM25,)):
        where = [f"config.{name}_dir={tmp_path / name}" for name in ("index", "out")]
        asked = [f"beir.dataset={dataset}", f"beir.dataset_path={tmp_path / 'sets'}", *where, *settings]
        cfg = deepcopy(composed(engine))
        for each in asked:
            address, _, value = each.lstrip("+").partition("=")
            OmegaConf.update(cfg, address, yaml.safe_load(value) if value != "off" else value, force_add=True)
            cfg.named = [*cfg.named, address]
        return beir_eval(cfg)

    return run


def told(tmp_path):
    return read_json(tmp_path / "out/beir/suite.json")


def written(tmp_path):
    """The times at which runs and indexes were written, by file."""
    files = [*tmp_path.rglob("run.json"), *tmp_path.glob("index/**/index_stats.json")]
    return {str(file.relative_to(tmp_path)): file.stat().st_mtime_ns for file in files}


def test_a_list_of_sets_gives_one_table_and_a_file_with_a_value_per_set_and_the_averages(suite, tmp_path, capsys):
    beir(tmp_path / "sets/adi")
    beir(tmp_path / "sets/cranfield", qrels={"q1": {"d4": 1}})
    found = suite("[adi,cranfield]")
    assert found == {"adi": found["adi"], "cranfield": found["cranfield"]}
    assert found["adi"]["mrr_10"] == 1.0
    assert found["cranfield"]["mrr_10"] == 0.0
    suite_json = told(tmp_path)
    assert suite_json["sets"] == found
    assert suite_json["averages"] == {"mean": {name: value / 2 for name, value in found["adi"].items()}}
    assert suite_json["system"] == "bm25(k1=0.9, b=0.4)"
    assert capsys.readouterr().out.splitlines()[:5] == [
        "bm25(k1=0.9, b=0.4)",
        "           ndcg_cut_10  recall_100  mrr_10",
        f"adi        {found['adi']['ndcg_cut_10']:>11.4f}      1.0000  1.0000",
        "cranfield       0.0000      0.0000  0.0000",
        f"= mean     {found['adi']['ndcg_cut_10'] / 2:>11.4f}      0.5000  0.5000",
    ]
    for name in ("adi", "cranfield"):
        result = read_result(tmp_path / "out/beir" / name)
        assert (result.dataset, result.metrics) == (name, found[name])


def test_cqadupstack_is_one_data_set_of_twelve_forums(suite, tmp_path, capsys):
    for number, forum in enumerate(FORUMS):
        beir(tmp_path / "sets/cqadupstack" / forum, qrels={"q1": {"d1" if number < 6 else "d4": 1}})
    found = suite("cqadupstack", "+beir.metrics=[mrr_10]")
    assert list(found) == [f"cqadupstack/{forum}" for forum in FORUMS]
    assert told(tmp_path)["averages"] == {"CQADupStack": {"mrr_10": 0.5}}
    assert "cqadupstack (12 forums)" in capsys.readouterr().out
    assert (tmp_path / "index/beir/cqadupstack/tex").is_dir()


@pytest.mark.slow
def test_part_by_part_the_average_comes_with_the_last_part(suite, tmp_path):
    for forum in FORUMS:
        beir(tmp_path / "sets" / forum)
    suite(f"[{','.join(f'cqadupstack/{forum}' for forum in FORUMS[:11])}]", "+beir.metrics=[mrr_10]")
    assert told(tmp_path)["incomplete"]["CQADupStack"] == ["cqadupstack/wordpress"]
    suite("cqadupstack/wordpress", "+beir.metrics=[mrr_10]")
    assert told(tmp_path)["averages"]["CQADupStack"] == {"mrr_10": 1.0}
    assert len(told(tmp_path)["earlier"]) == 11
    # Results under other conventions are none of the same average.
    suite("cqadupstack/wordpress", "+beir.metrics=[mrr_10]", "+beir.ties=trec_eval")
    assert "CQADupStack" not in told(tmp_path)["averages"]


@pytest.mark.slow
def test_nanobeir_runs_from_both_of_its_layouts(suite, tmp_path):
    pytest.importorskip("pyarrow")
    for number, (name, folder) in enumerate(NANO.items()):
        place = tmp_path / "sets" / (folder if number % 2 else f"nanobeir/{name}")
        hub(place) if number == 1 else beir(place)
    suite("nanobeir", "+beir.metrics=[mrr_10]")
    assert told(tmp_path)["averages"]["NanoBEIR"] == {"mrr_10": 1.0}
    details = read_json(tmp_path / "out/beir/nanobeir/arguana/details.json")
    assert details["conventions"]["titles"] == "text"
    assert details["conventions"]["self_matches"] == "self-matches kept (off)"


def test_trec_dl_is_graded_for_ndcg_and_relevant_from_2_on_for_the_others_and_shares_an_index(suite, tmp_path):
    folder = beir(tmp_path / "sets/msmarco", "dev")
    for year in (2019, 2020):
        judged(folder, f"trec-dl-{year}", {"q3": {"d4": 1, "d2": 2}})
    found = suite("[msmarco,trec-dl-2019,trec-dl-2020]", "+beir.keep_index=false")
    assert found["trec-dl-2019"]["mrr_10"] == found["trec-dl-2019"]["map"] == 0.5  # d4 first: without titles
    assert found["trec-dl-2019"]["ndcg_cut_10"] == pytest.approx((1 + 2 / 1.5849625) / (2 + 1 / 1.5849625))
    assert read_json(tmp_path / "out/beir/trec-dl-2019/details.json")["conventions"]["relevance_level"] == 2
    assert "recall_1000" in found["msmarco"]
    assert not list((tmp_path / "index/beir").iterdir())


def test_a_set_that_is_done_is_not_repeated_and_its_index_is_kept(suite, tmp_path, caplog):
    beir(tmp_path / "sets/adi")
    beir(tmp_path / "sets/cranfield")
    first = suite("[adi,cranfield]")
    before = written(tmp_path)
    assert suite("[adi,cranfield]") == first
    assert written(tmp_path) == before
    caplog.set_level("INFO")
    suite("[adi,cranfield]", "+beir.again=true")
    after = written(tmp_path)
    assert {name for name in before if after[name] != before[name]} == {
        "out/beir/adi/run.json", "out/beir/cranfield/run.json",
    }  # fmt: skip
    assert "holds these documents already" in caplog.text


@pytest.mark.slow
def test_another_setting_is_another_result(suite, tmp_path):
    beir(tmp_path / "sets/adi")
    suite("adi")
    times = [written(tmp_path)["out/beir/adi/run.json"]]
    for setting in ("config.top_k=2", "+beir.ties=trec_eval", "+beir.titles=text", "+beir.relevance_level=2"):
        suite("adi", setting)
        times.append(written(tmp_path)["out/beir/adi/run.json"])
    suite("adi", engine=(BM25, "engine.k1=1.2"))
    times.append(written(tmp_path)["out/beir/adi/run.json"])
    assert len(set(times)) == 6


def test_another_metric_is_measured_though_the_index_is_kept(suite, tmp_path):
    beir(tmp_path / "sets/adi")
    suite("adi")
    index = written(tmp_path)["index/beir/adi/index_stats.json"]
    assert list(suite("adi", "+beir.metrics=[nDCG(judged_only)@10]")["adi"]) == ["nDCG(judged_only)@10"]
    assert written(tmp_path)["index/beir/adi/index_stats.json"] == index


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_changed_data_never_meets_an_old_index_or_result(suite, tmp_path, file):
    folder = beir(tmp_path / "sets/adi")
    before = suite("adi")["adi"]["mrr_10"]
    text = (folder / file).read_text()
    changed = {
        "corpus.jsonl": text.replace('"d1"', '"d9"'),  # the answer is gone
        "queries.jsonl": text.replace("heat of sun", "zebra"),
        "qrels/test.tsv": text.replace("q1\td1", "q1\td9"),
    }[file]
    (folder / file).write_text(changed)
    os.utime(folder / file, ns=(1, 1))
    assert suite("adi")["adi"]["mrr_10"] == pytest.approx(before - 1 / 3)


def test_an_interrupted_suite_goes_on_and_repeats_no_set(suite, tmp_path, monkeypatch):
    for name in ("adi", "cacm", "cranfield"):
        beir(tmp_path / "sets" / name)
    real, searched = suite_tasks.answer, []

    def interrupted(opened, queries, folder, *rest, **how):
        searched.append(folder.name)
        run = real(opened, queries, folder, *rest, **how)
        if folder.name == "cacm":
            raise KeyboardInterrupt
        return run

    with monkeypatch.context() as patch:
        patch.setattr(suite_tasks, "answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            suite("[adi,cacm,cranfield]")
    assert list(told(tmp_path)["sets"]) == ["adi"]
    assert told(tmp_path)["incomplete"] == {"mean": ["cacm", "cranfield"]}
    assert not (tmp_path / "out/beir/cacm/perf.json").exists()
    times = written(tmp_path)
    suite("[adi,cacm,cranfield]")
    assert searched == ["adi", "cacm"]
    assert {name for name, time in written(tmp_path).items() if times.get(name) == time} == {
        "index/beir/adi/index_stats.json", "index/beir/cacm/index_stats.json", "out/beir/adi/run.json",
    }  # fmt: skip
    assert list(told(tmp_path)["sets"]) == ["adi", "cacm", "cranfield"]


def test_a_result_that_is_interrupted_anew_is_no_result_of_its_old_settings(suite, tmp_path, monkeypatch):
    beir(tmp_path / "sets/adi")
    suite("adi")

    def broken(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(suite_tasks, "measured", broken)
        with pytest.raises(KeyboardInterrupt):
            suite("adi", "config.top_k=1")
    assert max(map(len, read_run(tmp_path / "out/beir/adi/run.json").values())) == 1
    suite("adi")
    assert max(map(len, read_run(tmp_path / "out/beir/adi/run.json").values())) > 1


def test_an_index_is_dropped_on_request_when_its_set_is_done(suite, tmp_path):
    beir(tmp_path / "sets/adi")
    suite("adi", "+beir.keep_index=false")
    assert not (tmp_path / "index/beir/adi").exists()
    assert (tmp_path / "out/beir/adi/perf.json").is_file()


def test_sets_that_are_not_here_are_all_told_before_any_work_and_offline_touches_no_network(
    suite, tmp_path, monkeypatch
):
    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    beir(tmp_path / "sets/adi")
    with pytest.raises(InputError, match=r"2 of 3 sets cannot be evaluated; beir\.skip_missing=true") as error:
        suite("[adi,trec-covid,nfcorpus]", "+beir.offline=true")
    assert "trec-covid: " in str(error.value)
    assert "nfcorpus: " in str(error.value)
    assert not (tmp_path / "out").exists()
    found = suite("[adi,trec-covid,nfcorpus]", "+beir.offline=true", "+beir.skip_missing=true")
    assert list(found) == ["adi"]
    assert set(told(tmp_path)["skipped"]) == {"trec-covid", "nfcorpus"}
    assert told(tmp_path)["incomplete"]["mean"] == ["trec-covid", "nfcorpus"]
    with pytest.raises(InputError, match="did you mean scifact"):
        suite("sciflact", "+beir.offline=true")


def test_a_download_that_fails_stops_the_suite_or_leaves_its_set_out(suite, tmp_path, monkeypatch):
    beir(tmp_path / "sets/adi")
    real = suites.parts_of

    def parts(one, *given, **how):
        if one.name == "nfcorpus":
            raise NotDownloadedError("nfcorpus: no connection")
        return real(one, *given, **how)

    monkeypatch.setattr(suites, "parts_of", parts)
    with pytest.raises(NotDownloadedError):
        suite("[adi,nfcorpus]")
    assert list(told(tmp_path)["sets"]) == ["adi"]
    assert list(suite("[nfcorpus,adi]", "+beir.skip_missing=true")) == ["adi"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("+beir.titles=title", r"\+beir.titles=title: accepted are title_text, text"),
        ("+beir.lengths=512", r"\+beir.lengths=512: accepted are model, beir"),
        ("+beir.metrics=[ndgc_10]", "did you mean ndcg_10"),
        ("+beir.self_matches=some", r"\+beir.self_matches=some: unknown self-match policy"),
        ("+beir.ties=theirs", r"\+beir.ties=theirs: unknown tie rule"),
        ("+beir.unanswered=0", r"\+beir.unanswered=0: unknown rule"),
        (
            "+beir.relevance_level=-1",
            "relevance_level must be a whole number of at least 1, got -1",
        ),
        ("+beir.keep_index=flase", r"\+beir.keep_index=flase: accepted are true, false"),
        ("beir.dataset=[]", "names no set"),
        ("beir.dataset=a/../../b", "cannot be the name of a folder"),
    ],
)
def test_a_convention_that_there_is_not_is_refused_before_any_work(suite, tmp_path, setting, said):
    beir(tmp_path / "sets/adi")
    with pytest.raises(InputError, match=said):
        suite("adi", setting)
    assert not (tmp_path / "index").exists()


MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")


def test_a_model_is_loaded_once_and_the_lengths_are_told(suite, tmp_path, workplace, monkeypatch):
    from splade.workflow import model_loading

    monkeypatch.chdir(workplace)
    loaded, real = [], model_loading.retriever_from
    monkeypatch.setattr(model_loading, "retriever_from", lambda cfg: loaded.append(1) or real(cfg))
    beir(tmp_path / "sets/adi")
    beir(tmp_path / "sets/cranfield", more=" and sea")
    for lengths, own in {"model": 17, "beir": 256}.items():
        loaded.clear()
        suite("[adi,cranfield]", f"+beir.lengths={lengths}", "config.max_length=17", engine=MODEL)
        assert loaded == [1]
        details = read_json(tmp_path / "out/beir/adi/details.json")
        assert details["conventions"]["lengths"] == {"documents": own, "queries": own}
        assert details["system"] == "inverted MODEL"


def test_a_changed_model_never_meets_an_old_index_or_result(suite, tmp_path, workplace, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("distilbert-base-uncased", "MODEL"):
        shutil.copytree(workplace / name, tmp_path / name)
    beir(tmp_path / "sets/adi")
    suite("adi", engine=MODEL)
    first = json.loads((tmp_path / "out/beir/adi/run.json").read_text())
    shutil.rmtree(tmp_path / "MODEL")
    (tmp_path / "distilbert-base-uncased").rename(tmp_path / "MODEL")
    suite("adi", engine=MODEL)
    second = json.loads((tmp_path / "out/beir/adi/run.json").read_text())
    assert first != second
    facts = read_result(tmp_path / "out/beir/adi")
    assert facts.fact("search_stats.model_fingerprint") == facts.fact("search_stats.index_fingerprint")
    assert set(second["q1"]) <= set(DOCUMENTS)
