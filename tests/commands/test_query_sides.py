"""Every kind of sparse model of the catalog, from a config to a run: trained, saved, indexed, searched."""

import json
import math

import numpy as np
import pytest

from splade.config.checking.wiring import components
from splade.encoding import Encoder
from splade.files import read_json
from splade.models import load_retriever
from splade.records import Text
from tests.commands.world import PASSAGES, QUESTIONS

KINDS = [kind for kind in components().catalog.model if kind != "dense"]
OPTIONS = {
    "splade": ["init_dict.agg_q=sum", "init_dict.activation_q=log1p_log1p_relu"],
    "splade_doc": ["init_dict.top_d=50"],
    "splade_idf": ["init_dict.idf=idf.json", "init_dict.train_idf=true", "config.lr_query_table=0.1"],
    "splade_table": ["config.lr_query_table=0.01"],
    "splade_bm25": ["init_dict.idf=idf.json", "init_dict.mean_length=6", "config.lr_query_table=0.01"],
    "splade_topk": ["init_dict.top_d=40", "init_dict.top_q=20"],
}
TRAINING = (
    "config.nb_iterations=20",
    "config.warmup_steps=2",
    "config.lr=2e-3",
    "config.train_batch_size=8",
    "config.train_monitoring_freq=1",
    "config.record_frequency=20",
    "config.max_length=16",
    "config.regularizer=null",
    "~data.VALIDATION_FULL_RANKING",
    "~data.VALIDATION_SIZE_FOR_LOSS",
    "~config.validation_metrics",
    "~config.monitoring_ckpt",
)


@pytest.fixture
def place(workplace, tmp_path):
    """A directory of its own with the workplace's model and data."""
    for name in ("data", "distilbert-base-uncased"):
        (tmp_path / name).symlink_to(workplace / name)
    weights = {
        "heat": 2.5,
        "sun": 3.0,
        "train": 2.0,
        "bridge": 3.5,
        "sound": 2.0,
        "honey": 2.0,
        "king": 2.0,
        "snow": 3.0,
    }
    (tmp_path / "idf.json").write_text(json.dumps(weights))
    return tmp_path


def run(splade, place, command, *overrides):
    splade(
        command,
        "init_dict.model_type_or_dir=distilbert-base-uncased",
        "config.checkpoint_dir=checkpoint",
        "config.index_dir=index",
        "config.out_dir=out",
        *overrides,
        cwd=place,
        SPLADE_CONFIG_NAME="config_splade++_max",
    )


def vectors(model, side, texts):
    batch = Encoder(model, side, device="cpu").encode_all([Text(str(n), text) for n, text in enumerate(texts)])
    matrix = np.zeros((len(texts), batch.vocab_size), np.float32)
    rows = np.repeat(np.arange(len(texts)), np.diff(batch.rows.offsets))
    matrix[rows, batch.rows.columns] = batch.rows.weights
    return matrix


FAST = ("splade_mlp",)  # an encoder of queries beside that of documents


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in FAST)) for kind in KINDS])
def test_a_kind_of_the_catalog_trains_and_searches_with_what_it_saved(kind, splade, place):
    chosen = [f"config.matching_type={kind}", *OPTIONS.get(kind, [])]
    run(splade, place, "train", *chosen, *TRAINING)
    rows = [json.loads(line) for line in (place / "checkpoint/training_log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 20
    assert np.mean(losses[-5:]) < np.mean(losses[:5])

    model = load_retriever(place / "checkpoint/model")
    assert_searched(splade, place, model, *chosen)


def assert_searched(splade, place, model, *chosen):
    """Index and search by command: all scores above 0 are the inner products of the model's vectors."""
    chosen = [*chosen, "config.max_length=16"]
    dev = ["data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]", "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
           "config.retrieval_name=[DEV]", "config.eval_metric=[[mrr_10]]"]  # fmt: skip
    run(splade, place, "index", *chosen)
    run(splade, place, "retrieve", *chosen, *dev)
    found = read_json(place / "out/DEV/run.json")
    scores = vectors(model, "query", list(QUESTIONS.values())) @ vectors(model, "document", PASSAGES).T
    for row, query in zip(scores, QUESTIONS, strict=True):
        expected = {f"d{number}": float(score) for number, score in enumerate(row) if score > 0}
        assert found.get(query, {}) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_frozen_idf_stays_as_it_is_and_a_learned_one_does_not(splade, place):
    asked = read_json(place / "idf.json")
    for trained in ("false", "true"):
        options = ["config.matching_type=splade_idf", "init_dict.idf=idf.json", f"init_dict.train_idf={trained}"]
        run(splade, place, "train", *options, *TRAINING, f"config.checkpoint_dir=trained-{trained}")
        model = load_retriever(place / f"trained-{trained}" / "model")
        numbers = model.tokenizer("query").get_vocab()
        table = model.encoders["query"].table().detach()
        same = all(math.isclose(table[numbers[word]], weight) for word, weight in asked.items())
        assert same == (trained == "false")


def test_the_idf_of_a_collection_is_written_and_weighs_queries(splade, place, capsys):
    idf = ["init_dict.idf=made/idf.json", "data.COLLECTION_PATH=data/msmarco/full_collection"]
    run(splade, place, "idf", *idf)
    weights = read_json(place / "made/idf.json")
    assert weights["honey"] == pytest.approx(math.log(1 + 11.5 / 1.5))  # in one of the twelve passages
    before = (place / "made/idf.json").stat().st_mtime_ns
    run(splade, place, "idf", *idf)
    assert (place / "made/idf.json").stat().st_mtime_ns == before
    run(splade, place, "index", "config.matching_type=splade_idf", "config.pretrained_no_yamlconfig=true",
        "config.max_length=16", *idf)  # fmt: skip
    with pytest.raises(SystemExit):
        run(splade, place, "idf", *idf, "config.max_length=5")
    assert "there is another file" in capsys.readouterr().err


def test_a_rate_for_a_table_that_is_not_there_is_refused(splade, place, capsys):
    with pytest.raises(SystemExit):
        run(splade, place, "train", *TRAINING, "config.lr_query_table=1e-3")
    assert "this model has no table of query tokens that learns" in capsys.readouterr().err


def test_a_model_is_given_lexical_weights_by_command_and_found_by_the_others(splade, place):
    idf = ["init_dict.idf=made/idf.json", "data.COLLECTION_PATH=data/msmarco/full_collection"]
    lengths = ["config.max_length=16"]
    run(splade, place, "idf", *idf, *lengths)
    run(splade, place, "add_bm25", "init_dict.idf=made/idf.json", "init_dict.expansion=0.25",
        "config.checkpoint_dir=lexical")  # fmt: skip
    model = load_retriever(place / "lexical" / "model")
    assert type(model).__name__ == "SpladeBm25"
    assert model.lexical.expansion.item() == 0.25
    about = read_json(place / "made/idf.about.json")
    assert model.settings()["mean_length"] == about["mean_length"]
    assert_searched(splade, place, model, "config.checkpoint_dir=lexical")


@pytest.mark.slow
def test_another_weight_beside_bm25_is_indexed_from_vectors_of_the_head(splade, place):
    idf = ["init_dict.idf=made/idf.json", "data.COLLECTION_PATH=data/msmarco/full_collection"]
    lengths = ["config.max_length=16"]
    run(splade, place, "idf", *idf, *lengths)
    run(splade, place, "encode", "config.pretrained_no_yamlconfig=true", *lengths, "config.out_dir=head")
    run(splade, place, "add_bm25", idf[0], "init_dict.expansion=0.6", "config.checkpoint_dir=lexical")
    model = load_retriever(place / "lexical" / "model")
    head = "data.HEAD_VECTORS_PATH=head"
    assert_searched(splade, place, model, "config.checkpoint_dir=lexical", head)
