"""``splade.report``: what it finds of an experiment by its results' folder, and what it says of the rest."""

import logging
import re
import shutil

import pytest

from splade.config import configure, save_config
from splade.expectations import choose_rows
from splade.files import InputError, read_json
from splade.workflow.reporting.expected import expected_rows
from splade.workflow.reporting.hard_queries import check_asked
from tests.commands.conftest import splade, workplace  # noqa: F401 - fixtures
from tests.reports.made import a_result, a_training
from tests.reports.test_page import PARTS, Read

MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")


def missing_of(page):
    return re.findall(r'<p class="missing">(.*?)</p>', page)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder that the tests of this module share."""
    return tmp_path_factory.mktemp("bm25")


@pytest.fixture
def of_bm25(splade, kept, tmp_path):  # noqa: F811
    """``exp/out/TOY`` and ``exp/index`` of BM25 on the toy data, with the config and a training log beside them."""
    where = ("engine=bm25", "config.index_dir=exp/index", "config.out_dir=exp/out")
    if not (kept / "exp").exists():
        splade("index", *where[:2], cwd=kept)
        splade("retrieve", *where, cwd=kept)
        save_config(configure("retrieve", [*where, "config.checkpoint_dir=exp/checkpoint"]), kept / "exp/config.yaml")
        a_training(kept / "exp/checkpoint")
    shutil.copytree(kept / "exp", tmp_path / "exp")
    return tmp_path


@pytest.mark.slow
def test_out_dir_leads_to_training_index_texts_terms_and_expected_values(of_bm25, splade):  # noqa: F811
    splade(
        "report", "config.out_dir=exp/out", "config.checkpoint_dir=exp/checkpoint", "report.expected=[bm25-toy*]",
        "report.n_queries=2", cwd=of_bm25,
    )  # fmt: skip
    page = (of_bm25 / "exp/out/report.html").read_text()
    read = Read(page)
    assert read.headings == PARTS
    assert "Report: exp" in page
    said = " ".join(missing_of(page))
    assert "training" not in said
    assert "terms" not in said
    assert "index is not" not in said
    assert "Validation: MRR@10" in read.words
    assert "mrr_100.52480.5248 ± 0.0005matches" in read.words
    assert "0.6236 ± 0.05another model" in read.words
    values = read_json(of_bm25 / "exp/out/TOY/per_query.json")["mrr_10"]
    assert "The 2 queries with the lowest mrr_10, lowest first." in read.words
    assert read.words.count("mrr_10 0.000") == min(2, sum(value == 0 for value in values.values()))
    assert "Its heaviest terms, with their weights:" in read.words
    assert "Best relevant document: " in read.words
    assert "368" in read.words  # documents of the index


def test_folders_elsewhere_are_named_and_the_page_goes_where_it_is_told(of_bm25, splade):  # noqa: F811
    (of_bm25 / "exp/out").rename(of_bm25 / "moved")
    splade(
        "report", "config.out_dir=moved", "config.index_dir=exp/index", "config.checkpoint_dir=exp/checkpoint",
        "report.path=pages/one.html", "report.metric=ndcg_cut_10", cwd=of_bm25,
    )  # fmt: skip
    words = Read((of_bm25 / "pages/one.html").read_text()).words
    assert "queries with the lowest ndcg_cut_10" in words
    assert "Validation: MRR@10" in words
    assert "Index: exp/index." in words


@pytest.mark.slow
def test_results_of_bm25_and_of_published_models_rest_on_no_training_even_if_there_is_one_nearby(of_bm25, splade):  # noqa: F811
    splade("report", "config.out_dir=exp/out", "report.n_queries=1", cwd=of_bm25)
    page = (of_bm25 / "exp/out/report.html").read_text()
    assert "Nothing was trained for these results (config.engine=bm25)." in missing_of(page)
    assert "Validation: MRR@10" not in page
    saved = (of_bm25 / "exp/config.yaml").read_text().replace("  engine: bm25\n", "")
    changed = saved.replace("pretrained_no_yamlconfig: false", "pretrained_no_yamlconfig: true")
    (of_bm25 / "exp/out/TOY/config.yaml").write_text(changed)  # the result's own config counts first
    splade("report", "config.out_dir=exp/out", "report.n_queries=1", cwd=of_bm25)
    said = missing_of((of_bm25 / "exp/out/report.html").read_text())
    assert "Nothing was trained for these results (config.pretrained_no_yamlconfig=true)." in said


@pytest.mark.slow
def test_a_beir_result_finds_its_folder_and_its_index_by_its_own_config(tmp_path, splade):  # noqa: F811
    folder = tmp_path / "sets/tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "title": "", "text": "honey bees"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "who makes honey"}\n')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    where = [
        "engine=bm25",
        "config.index_dir=index",
        "config.out_dir=out",
        "+beir.dataset=tiny",
        "+beir.dataset_path=sets",
    ]
    splade("beir_eval", *where, cwd=tmp_path)
    save_config(configure("beir_eval", where), tmp_path / "out/beir/tiny/config.yaml")
    splade("report", "config.out_dir=out", cwd=tmp_path)
    words = Read((tmp_path / "out/report.html").read_text()).words
    assert "who makes honey" in words
    assert "honey bees" in words
    assert "Terms of its score:honei " in words  # as the analyzer stems it
    assert "Index: index/beir/tiny." in words


def test_results_alone_make_a_page_that_says_what_is_not_at_hand(tmp_path, splade, caplog):  # noqa: F811
    a_result(tmp_path / "alone/out/SETS")
    splade("report", "config.out_dir=alone/out", cwd=tmp_path)
    said = missing_of((tmp_path / "alone/out/report.html").read_text())
    assert "The folder of the training is not known. Name it with config.checkpoint_dir=FOLDER." in said
    assert "The judgements are not known: details.json names no qrels." in said
    assert "The index is not at hand. Name its folder with config.index_dir=FOLDER." in said
    assert "No config.yaml was found in the folders of this experiment." in said


def test_settings_that_no_result_can_follow_are_refused(tmp_path, splade, capsys):  # noqa: F811
    a_result(tmp_path / "out/SETS")
    with pytest.raises(SystemExit) as ended:
        splade("report", "config.out_dir=out", "report.metric=map", cwd=tmp_path)
    assert ended.value.code == 2
    assert "report.metric=map: the results have mrr_10 for each query" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"report.n_queries=-1: give a whole number of 0 or more"):
        check_asked([], -1, None)
    with pytest.raises(InputError, match=r"report.expected=to: no expected row has this name; did you mean toy\?"):
        choose_rows(expected_rows(), "to", "report.expected")
    assert not (tmp_path / "out/report.html").exists()


def test_nothing_to_report_is_an_error_in_words(tmp_path, splade, capsys):  # noqa: F811
    (tmp_path / "out").mkdir()
    with pytest.raises(SystemExit) as ended:
        splade("report", "config.out_dir=out", cwd=tmp_path)
    assert ended.value.code == 2
    assert "there is nothing to report" in capsys.readouterr().err


@pytest.mark.slow
def test_the_terms_of_a_models_queries_come_from_the_model_that_the_config_names(splade, workplace, tmp_path):  # noqa: F811
    where = [f"config.index_dir={tmp_path / 'index'}", f"config.out_dir={tmp_path / 'out'}"]
    data = [
        "data.COLLECTION_PATH=data/msmarco/full_collection", "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
        "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]", "config.retrieval_name=[DEV]",
        "config.eval_metric=[[mrr_10]]",
    ]  # fmt: skip
    splade("index", *MODEL, data[0], where[0], cwd=workplace)
    splade("retrieve", *MODEL, *data, *where, cwd=workplace)
    save_config(configure("retrieve", [*MODEL, *data, *where]), tmp_path / "config.yaml")
    splade("report", where[1], cwd=workplace)
    words = Read((tmp_path / "out/report.html").read_text()).words
    assert "Its heaviest terms, with their weights:" in words
    assert "Terms of its score:" in words
    splade("report", where[1], "report.encode=false", cwd=workplace)
    page = (tmp_path / "out/report.html").read_text()
    assert "The terms of queries were not asked for (report.encode=false)." in missing_of(page)


def test_a_config_of_another_version_is_shown_and_not_followed(tmp_path, splade, caplog):  # noqa: F811
    a_result(tmp_path / "out/SETS")
    (tmp_path / "config.yaml").write_text("config:\n  a_setting_of_old: 1\n")
    with caplog.at_level(logging.WARNING):
        splade("report", "config.out_dir=out", cwd=tmp_path)
    assert "cannot be used by this version, and only its text is shown" in caplog.text
    assert "a_setting_of_old: 1" in (tmp_path / "out/report.html").read_text()
