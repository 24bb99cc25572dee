"""Validation on BEIR folders: names, splits, means, and what is written down."""

import csv

import pytest

from splade.data import open_collection, open_queries, read_qrels
from splade.files import InputError
from splade.training import FullRanking, SeveralRankings, beir_rankings
from splade.training.validation.validation import Validation
from tests.config.support import configured, refusal
from tests.data.writing import jsonl, put
from tests.training.toy import ToyRetriever, toy_trainer

METRICS = ["MRR@10", "recall@2"]


class Fixed:
    def __init__(self, *values):
        self.values = values

    def __call__(self, model, metrics):
        return dict(zip(metrics, self.values, strict=True))


def beir(folder, documents, queries, **splits):
    jsonl(folder / "corpus.jsonl", [{"_id": id, "title": "", "text": text} for id, text in documents.items()])
    jsonl(folder / "queries.jsonl", [{"_id": id, "text": text} for id, text in queries.items()])
    for split, judged in splits.items():
        lines = "".join(f"{query}\t{document}\t1\n" for query, document in judged)
        put(folder / "qrels" / f"{split}.tsv", f"query-id\tcorpus-id\tscore\n{lines}")
    return folder


@pytest.fixture
def folders(tmp_path):
    one = beir(
        tmp_path / "one", {"d1": "a b", "d2": "c", "d3": "d"}, {"q1": "a", "q2": "c", "q3": "d"},
        dev=[("q1", "d1")], test=[("q2", "d1"), ("q3", "d3")],
    )  # fmt: skip
    two = beir(tmp_path / "two", {"x": "a a", "y": "a", "z": "d"}, {"x": "a"}, test=[("x", "y")])
    return str(one), str(two)


def test_means_stand_under_the_metric_and_each_set_under_its_name():
    rankings = SeveralRankings({"one": Fixed(0.5, 1.0), "two": Fixed(0.25, 0.0)})
    expected = {
        "MRR@10": 0.375, "recall@2": 0.5,
        "one/MRR@10": 0.5, "one/recall@2": 1.0, "two/MRR@10": 0.25, "two/recall@2": 0.0,
    }  # fmt: skip
    assert rankings(None, METRICS) == expected
    assert rankings.columns(METRICS) == list(expected)


def test_each_set_is_ranked_as_if_it_were_alone_and_by_its_split(folders):
    one, two = folders
    model = ToyRetriever()
    rankings = beir_rankings([f"{one}:test", two])
    alone = FullRanking(open_collection(one), open_queries(one), read_qrels(one, split="test"))
    found = rankings(model, METRICS)
    assert {metric: found[f"one/{metric}"] for metric in METRICS} == alone(model, METRICS)
    assert [query.id for query in rankings.rankings["one"].queries] == ["q2", "q3"]
    assert [query.id for query in beir_rankings([f"{one}:dev"]).rankings["one"].queries] == ["q1"]


def test_a_query_is_not_its_own_result(folders):
    # The document x is the query x, and would come before y.
    assert beir_rankings([folders[1]])(ToyRetriever(), ["MRR@10"])["two/MRR@10"] == 1.0
    kept = FullRanking(open_collection(folders[1]), open_queries(folders[1]), read_qrels(folders[1]))
    assert kept(ToyRetriever(), ["MRR@10"]) == {"MRR@10": 0.5}


def test_sets_that_cannot_be_told_apart_and_splits_that_are_not_said_are_refused(folders):
    one, two = folders
    with pytest.raises(InputError, match=r"VALIDATION_FULL_RANKING\.BEIR: two sets are called one"):
        beir_rankings([f"{one}:dev", f"{one}:test"])
    with pytest.raises(InputError, match="say which split, as FOLDER:test"):
        beir_rankings([two, one])
    with pytest.raises(InputError, match="is an empty list"):
        beir_rankings([])


def test_the_mean_chooses_the_weights_and_every_figure_is_logged(folders, tmp_path):
    rankings = beir_rankings([f"{folders[0]}:test", folders[1]])
    assert Validation(None, rankings, ["MRR@10"], "mrr_10").monitor == ("MRR@10", False)
    trainer = toy_trainer(
        tmp_path / "run", full_ranking=rankings, validation_metrics=["MRR@10"], monitoring_ckpt="MRR@10"
    )
    summary = trainer.run()
    log = (tmp_path / "run" / "training_log.csv").read_text().splitlines()
    figures = [float(row["MRR@10"]) for row in csv.DictReader(log) if row["MRR@10"]]
    assert len(figures) == 4
    assert summary.best_score == pytest.approx(max(figures))
    assert summary.figures["MRR@10"] == (summary.figures["one/MRR@10"] + summary.figures["two/MRR@10"]) / 2
    assert "one/MRR@10" in log[0]


def test_a_config_names_several_sets_in_place_of_one():
    cfg = configured("validation=nanobeir", command="train")
    assert cfg.full_ranking._target_ == "splade.training.beir_rankings"
    assert len(cfg.full_ranking.sources) == 13
    told = refusal("data.VALIDATION_FULL_RANKING.BEIR=[a]", command="train")
    assert "data.VALIDATION_FULL_RANKING.QREL_PATH" in told
    assert "nothing in this configuration reads it" in told
