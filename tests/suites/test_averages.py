"""Averages by name, over whole suites alone."""

import pytest

from splade.suites import AVERAGES, averages_of, grid


def test_cqadupstack_is_the_unweighted_mean_of_its_forums_and_one_data_set_in_averages():
    forums = {name: {"ndcg_cut_10": number / 10} for number, name in enumerate(AVERAGES["CQADupStack"])}
    found = averages_of(forums | {"scifact": {"ndcg_cut_10": 1.0}}, ["cqadupstack", "scifact"])
    assert found.values["CQADupStack"]["ndcg_cut_10"] == pytest.approx(0.55)
    assert found.values["mean"]["ndcg_cut_10"] == pytest.approx((0.55 + 1) / 2)


def test_an_average_of_which_a_set_lacks_is_not_given_and_the_set_is_named():
    results = {name: {"ndcg_cut_10": 0.5} for name in AVERAGES["BEIR-13"][1:]}
    found = averages_of(results, ["scifact"])
    assert "BEIR-13" not in found.values
    assert found.incomplete["BEIR-13"] == ["trec-covid"]
    assert found.incomplete["MTEB-15"] == ["trec-covid", "cqadupstack", "msmarco"]
    assert "NanoBEIR" not in found.incomplete  # none of its sets is here: nobody asked for it
    assert "mean" not in found.values  # of one set there is none
    whole = averages_of(results | {"trec-covid": {"ndcg_cut_10": 1.8}})
    assert whole.values["BEIR-13"] == {"ndcg_cut_10": pytest.approx(0.6)}


def test_an_average_has_the_metrics_that_all_of_its_sets_have():
    found = averages_of({"a": {"ndcg_cut_10": 0.2, "map": 1.0}, "b": {"ndcg_cut_10": 0.4}}, ["a", "b"])
    assert found.values["mean"] == {"ndcg_cut_10": pytest.approx(0.3)}


def test_the_table_is_aligned_and_has_a_dash_for_what_a_set_lacks():
    text = grid({"adi": {"ndcg_cut_10": 0.25, "map": 1.0}, "cranfield": {"ndcg_cut_10": 0.125}})
    assert text.splitlines() == [
        "           ndcg_cut_10     map",
        "adi             0.2500  1.0000",
        "cranfield       0.1250       –",
    ]
