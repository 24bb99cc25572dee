"""Names of sets and suites, and the conventions of each."""

import pytest

from splade.suites import AVERAGES, SUITES, sets_of, units_of
from splade.suites.catalogue import FORUMS, NANO, TREC_DL, near_names

ir_datasets = pytest.importorskip("ir_datasets")


def test_suites_have_the_sets_of_their_published_averages():
    assert len(AVERAGES["BEIR-13"]) == 13
    assert len(AVERAGES["MTEB-15"]) == 15
    assert set(AVERAGES["MTEB-15"]) - set(AVERAGES["BEIR-13"]) == {"cqadupstack", "msmarco"}
    assert len(AVERAGES["NanoBEIR"]) == len(NANO) == 13
    assert len(AVERAGES["CQADupStack"]) == len(FORUMS) == 12
    assert units_of("all") == units_of("beir13") == list(AVERAGES["BEIR-13"])


def test_names_suites_and_lists_are_opened_each_set_once():
    assert [one.name for one in sets_of(["scifact", "beir/scifact", "adi"])] == ["scifact", "adi"]
    assert [one.name for one in sets_of("trec_dl")] == list(TREC_DL)
    assert len(sets_of("mteb15")) == 14 + 12
    assert units_of(["cqadupstack", "nano-beir/fiqa"]) == ["cqadupstack", "nanobeir/fiqa"]
    assert [one.name for one in sets_of("nano-beir")] == list(SUITES["nanobeir"])


def test_every_set_has_an_id_that_ir_datasets_knows():
    for one in sets_of(["mteb15", "nanobeir", "trec_dl"]):
        known = [name for name in one.irds if name in ir_datasets.registry._registered]
        assert known, one.name
        documents = one.irds_documents or known[0]
        assert ir_datasets.load(documents).has_docs()
        assert ir_datasets.load(known[0]).has_queries()
        assert ir_datasets.load(known[0]).has_qrels()


def test_conventions_are_those_of_the_published_figures():
    named = {one.name: one for one in sets_of(["mteb15", "nanobeir", "trec_dl"])}
    assert named["msmarco"].split == "dev"
    assert named["webis-touche2020"].irds[-1] == "beir/webis-touche2020/v2"
    assert "R_cap@100" in named["trec-covid"].metrics
    for name in TREC_DL:
        assert (named[name].relevance_level, named[name].titles) == (2, "text")
    assert (named["nanobeir/arguana"].self_matches, named["nanobeir/arguana"].titles) == ("off", "text")
    assert (named["arguana"].self_matches, named["arguana"].titles) == ("beir", "title_text")
    assert all("ndcg_cut_10" in one.metrics for one in named.values())


def test_sets_of_the_same_passages_share_an_index():
    named = {one.name: one.documents for one in sets_of(["msmarco", "trec_dl", "scifact"])}
    assert named["msmarco"] == named["trec-dl-2019"] == named["trec-dl-2020"] == "msmarco"
    assert named["trec-dl-2021"] == named["trec-dl-2022"] == "msmarco-v2"
    assert named["scifact"] is None


def test_a_name_that_is_nearly_one_is_told():
    assert "scifact" in near_names("scifcat")
    assert "nanobeir" in near_names("nanobier")
