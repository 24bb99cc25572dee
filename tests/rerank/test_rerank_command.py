"""The rerank command: runs in, reranked runs and metrics out, and what it refuses."""

import json

import pytest
import torch
from omegaconf import OmegaConf

from splade.evaluation.runs import read_run
from splade.files import InputError, write_json
from splade.rerank import best, rerank
from splade.results import read_result
from tests.tiny import tiny_cross_encoder

DOCUMENTS = {
    "d1": "the king and the queen",
    "d2": "bees make honey",
    "d3": "water of the sea",
    "d4": "iron",
    "d5": "snow and ice",
}
QUERIES = {"q1": "honey", "q2": "sea water", "q3": "war"}
FIRST_STAGE = {
    "q1": {"d1": 9.0, "d2": 7.0, "d3": 5.0, "d4": 1.0},
    "q2": {"d4": 3.0, "d3": 2.0},
    "q3": {},
}
QRELS = {"q1": {"d2": 1}, "q2": {"d3": 1}}


def write_tsv(folder, texts):
    folder.mkdir(parents=True)
    (folder / "raw.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in texts.items()))
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_cross_encoder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cfg(tmp_path, model):
    write_json(tmp_path / "run.json", FIRST_STAGE)
    write_json(tmp_path / "qrels.json", QRELS)
    texts = {
        "documents": write_tsv(tmp_path / "documents", DOCUMENTS),
        "queries": write_tsv(tmp_path / "queries", QUERIES),
        "qrels": str(tmp_path / "qrels.json"),
    }
    return OmegaConf.create(
        {
            "checkpoint": {"dir": str(tmp_path / "checkpoint"), "pretrained": True},
            "reranker": {
                "_target_": "splade.models.rerankers.CrossEncoder",
                "model_type_or_dir": str(model),
                "max_length": 32,
            },
            "rerank": {
                "collections": {"TINY": texts},
                "runs": {"TINY": {"first": str(tmp_path / "run.json")}},
                "top_k": [2, 3],
                "batch_size": 2,
                "fp16": False,
                "metrics": [["mrr_10", "recall_2"]],
                "out_dir": str(tmp_path / "out"),
            },
        }
    )


class Overlap(torch.nn.Module):
    """A reranker by the number of common words, with known answers."""

    kind, device = "overlap", torch.device("cpu")

    def settings(self):
        return {}

    def score(self, pairs, batch_size=32):
        return torch.tensor([float(len(set(query.split()) & set(text.split()))) for query, text in pairs])


@pytest.fixture
def overlap(monkeypatch):
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: Overlap())


def test_the_best_of_the_first_stage_are_reordered_and_others_dropped(cfg, tmp_path, overlap):
    results = rerank(cfg)
    two, three = (read_run(tmp_path / f"out/TINY/first/{top_k}/run.json") for top_k in (2, 3))
    assert two == {"q1": {"d2": 1.0, "d1": 0.0}, "q2": {"d3": 2.0, "d4": 0.0}, "q3": {}}
    assert list(two["q1"]) == ["d2", "d1"]
    assert list(three["q1"]) == ["d2", "d1", "d3"]  # ties stay in the order of the first stage
    assert results["TINY/first/2"] == {"mrr_10": 1.0, "recall_2": 1.0}


def test_run_trec_and_metrics_stand_beside_the_run(cfg, tmp_path, overlap):
    rerank(cfg)
    folder = tmp_path / "out/TINY/first/2"
    assert json.loads((folder / "perf.json").read_text()) == {"mrr_10": 1.0, "recall_2": 1.0}
    assert read_result(folder).fact("conditions.versions.torch")
    assert read_result(folder).per_query["mrr_10"] == {"q1": 1.0, "q2": 1.0}
    lines = [line.split() for line in (folder / "run.trec").read_text().splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("q1", "d2", "1"), ("q1", "d1", "2"), ("q2", "d3", "1"), ("q2", "d4", "2"),
    ]  # fmt: skip


def test_a_trec_run_gives_what_a_json_run_gives(cfg, tmp_path, overlap):
    (tmp_path / "run.trec").write_text(
        "q1 Q0 d1 1 9 x\nq1 Q0 d2 2 7 x\nq1 Q0 d3 3 5 x\nq1 Q0 d4 4 1 x\nq2 Q0 d4 1 3 x\nq2 Q0 d3 2 2 x\n"
    )
    cfg.rerank.runs.TINY["trec"] = str(tmp_path / "run.trec")
    results = rerank(cfg)
    assert results["TINY/trec/3"] == results["TINY/first/3"]


def test_without_qrels_runs_are_written_and_nothing_is_evaluated(cfg, tmp_path, overlap):
    cfg.rerank.collections.TINY.qrels = None
    assert rerank(cfg) == {}
    assert (tmp_path / "out/TINY/first/2/run.json").is_file()
    assert not (tmp_path / "out/TINY/first/2/perf.json").exists()


class Tiring(Overlap):
    """Is interrupted at the ``at``-th query that it is asked about."""

    def __init__(self, at):
        super().__init__()
        self.at, self.asked = at, []

    def score(self, pairs, batch_size=32):
        if len(self.asked) == self.at:
            raise KeyboardInterrupt
        self.asked.append(pairs[0][0] if pairs else "")
        return super().score(pairs, batch_size)


@pytest.mark.parametrize("at", range(6))  # three queries, two depths
def test_interrupted_it_continues_where_it_was_and_writes_the_same_files(cfg, tmp_path, monkeypatch, at):
    monkeypatch.setattr("splade.rerank.PAIRS", 1)  # a piece for each query
    straight = Tiring(at=-1)
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: straight)
    rerank(cfg)
    cfg.rerank.out_dir = str(tmp_path / "again")
    first, second = Tiring(at), Tiring(at=-1)
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: first)
    with pytest.raises(KeyboardInterrupt, match=f"after {at % 3} queries; the same command continues"):
        rerank(cfg)
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: second)
    rerank(cfg)
    assert len(first.asked) + len(second.asked) == 6
    for name in ("run.json", "run.trec", "perf.json"):
        for depth in (2, 3):
            files = [tmp_path / out / "TINY/first" / str(depth) / name for out in ("out", "again")]
            assert files[0].read_bytes() == files[1].read_bytes()
    assert not list((tmp_path / "again").rglob(".*"))


def test_a_finished_run_is_left_and_one_by_other_weights_or_changed_is_made_anew(cfg, tmp_path, monkeypatch):
    def asked(weight=1.0):
        reranker = Tiring(at=-1)
        reranker.weight = torch.nn.Parameter(torch.tensor(weight))
        monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: reranker)
        rerank(cfg)
        return len(reranker.asked)

    assert [asked(), asked(), asked(weight=2.0)] == [6, 0, 6]
    run = tmp_path / "out/TINY/first/2/run.json"
    whole = run.read_bytes()
    run.write_bytes(whole.replace(b"d1", b"d5"))
    assert asked(weight=2.0) == 3
    assert run.read_bytes() == whole


def test_what_another_reranker_left_is_not_continued(cfg, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("splade.rerank.PAIRS", 1)
    tired = Tiring(at=1)
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: tired)
    with pytest.raises(KeyboardInterrupt):
        rerank(cfg)
    other = Tiring(at=-1)
    other.settings = lambda: {"max_length": 9}
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: other)
    rerank(cfg)
    assert len(other.asked) == 6
    assert "left by a run with other reranker" in caplog.text


def test_an_id_with_a_line_separator_inside_stays_whole(cfg, tmp_path, overlap):
    strange = "d\u2028\x85 1"
    write_tsv(tmp_path / "strange", DOCUMENTS | {strange: "honey"})
    cfg.rerank.collections.TINY.documents = str(tmp_path / "strange")
    write_json(tmp_path / "run.json", {"q1": {"d1": 2.0, strange: 1.0}})
    rerank(cfg)
    assert read_run(tmp_path / "out/TINY/first/2/run.json") == {"q1": {strange: 1.0, "d1": 0.0}}


def test_scores_that_are_not_numbers_are_refused(cfg, tmp_path, monkeypatch):
    reranker = Overlap()
    reranker.score = lambda pairs, batch_size: torch.full((len(pairs),), torch.nan)
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: reranker)
    with pytest.raises(InputError, match=r"query 'q1': 2 of 2 scores are not numbers.*init_dict\.fp16=false"):
        rerank(cfg)
    assert not (tmp_path / "out/TINY/first/2/run.json").exists()


def test_a_real_cross_encoder_reranks_by_its_own_scores(cfg, tmp_path):
    from splade.models.rerankers import load_reranker

    rerank(cfg)
    run = read_run(tmp_path / "out/TINY/first/3/run.json")
    model = load_reranker(cfg.reranker.model_type_or_dir, kind="cross_encoder", max_length=32)
    expected = model.score([("honey", DOCUMENTS[id]) for id in run["q1"]])
    torch.testing.assert_close(torch.tensor(list(run["q1"].values())), expected, atol=1e-5, rtol=1e-5)
    assert (expected.diff() <= 0).all()


def test_the_trained_reranker_of_the_checkpoint_is_taken_or_asked_for(cfg, model):
    from splade.models.rerankers import load_reranker

    cfg.checkpoint.pretrained = False
    with pytest.raises(InputError, match=r"no trained reranker in .*splade\.hf_train_reranker"):
        rerank(cfg)
    load_reranker(model, kind="cross_encoder").save_pretrained(f"{cfg.checkpoint.dir}/model")
    assert set(rerank(cfg)) == {"TINY/first/2", "TINY/first/3"}


def test_ties_in_the_first_stage_are_cut_in_the_order_written():
    assert best({"b": 1.0, "a": 1.0, "c": 2.0}, 2) == ["c", "b"]


@pytest.mark.parametrize(
    ("address", "value", "words"),
    [
        ("rerank.top_k", 0, r"config\.top_k must be a number of at least 1"),
        ("rerank.metrics", ["mrr_ten"], r"config\.eval_metric"),
        ("rerank.runs", {}, "rerank_runs is empty"),
        ("rerank.runs", {"OTHER": {"x": "run.json"}}, r"rerank_runs\.OTHER: rerank_collection has no such data set"),
        ("rerank.runs.TINY.first", "nowhere.json", r"nowhere\.json"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_a_model_loads(cfg, address, value, words, monkeypatch):
    monkeypatch.setattr("splade.rerank.reranker_from", lambda cfg: pytest.fail("a model was loaded"))
    OmegaConf.update(cfg, address, value, merge=False)
    with pytest.raises(InputError, match=words):
        rerank(cfg)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"q9": {"d1": 1.0}}, r"1 of 1 query ids are not in .*'q9'"),
        ({"q1": {"d1": 1.0, "d9": 0.5}}, r"1 of 2 document ids are not in .*'d9'"),
    ],
)
def test_a_run_of_other_texts_is_refused_with_an_id(cfg, tmp_path, run, words):
    write_json(tmp_path / "run.json", run)
    with pytest.raises(InputError, match=words):
        rerank(cfg)
