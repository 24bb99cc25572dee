"""A dense model is trained, indexed, searched exactly and evaluated by the commands that serve sparse ones."""

import numpy as np
import pytest
import torch

from splade.data.tokens.tokenize import tokenize
from splade.dense.index import DenseIndex
from splade.files import read_json
from splade.models import Dense, load_retriever
from splade.records import Text
from splade.training.validation.full_ranking import FullRanking
from tests.commands.world import PASSAGES, QUESTIONS, SMALL_HF

CONFIG = {"SPLADE_CONFIG_NAME": "config_hf_dense_sigir23_32neg_nodistil"}


def where(tmp_path):
    return [f"config.{name}_dir={tmp_path / name}" for name in ("checkpoint", "index", "out")]


def vectors(model, side, texts):
    batch = tokenize(model.tokenizer(side), [Text("", text) for text in texts], model.max_length(side))
    with torch.no_grad():
        return model(side, torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)).numpy()


def refused(command, message, capsys):
    with pytest.raises(SystemExit):
        command()
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tmp_path_factory.mktemp("dense")


def test_all_trains_indexes_searches_and_evaluates(splade, workplace, checkpoint):
    splade("all", *where(checkpoint), *SMALL_HF, cwd=workplace, **CONFIG)
    model = load_retriever(checkpoint / "checkpoint" / "model")
    documents, queries = vectors(model, "document", PASSAGES), vectors(model, "query", QUESTIONS.values())
    expected = queries.astype(np.float64) @ documents.T
    runs = list((checkpoint / "out").glob("*/run.json"))
    assert runs
    for run in map(read_json, runs):
        for row, found in zip(expected, run.values(), strict=True):
            assert found == {f"d{doc}": pytest.approx(score, abs=1e-4) for doc, score in enumerate(row)}
            assert list(found.values()) == sorted(found.values(), reverse=True)
    facts = read_json(next((checkpoint / "out").glob("*/stats/search_stats.json")))
    assert facts["strategy"] == "dense_exact"
    assert facts["index_fingerprint"] == facts["model_fingerprint"] == model.fingerprint()
    assert read_json(checkpoint / "out" / "perf_all_datasets.json")
    assert not (checkpoint / "out" / "flops.json").exists()


def test_an_index_of_the_same_is_kept_and_one_in_float16_replaces_it(splade, workplace, checkpoint):
    header = checkpoint / "index" / "dense_index" / "header.json"
    before = header.stat().st_mtime_ns
    splade("index", *where(checkpoint), cwd=workplace, **CONFIG)
    assert header.stat().st_mtime_ns == before
    splade("index", *where(checkpoint), "config.index_weights=float16", cwd=workplace, **CONFIG)
    assert DenseIndex.open(checkpoint / "index").vectors.dtype == np.float16
    splade("retrieve", *where(checkpoint), cwd=workplace, **CONFIG)


def test_another_model_is_refused_unless_forced(splade, workplace, checkpoint, capsys):
    other = [*where(checkpoint)[1:], "config.pretrained_no_yamlconfig=true"]
    refused(lambda: splade("retrieve", *other, cwd=workplace, **CONFIG), "made by the encoder", capsys)
    splade("retrieve", *other, "config.force=true", cwd=workplace, **CONFIG)


def test_a_beir_set_is_evaluated(splade, workplace, checkpoint, tmp_path):
    splade(
        "beir_eval", *where(checkpoint), "+beir.dataset=scifact", "+beir.dataset_path=data/beir", cwd=workplace,
        **CONFIG,
    )  # fmt: skip
    found = read_json(checkpoint / "out" / "beir" / "scifact" / "perf.json")
    assert found["recall_100"] == 1.0
    assert DenseIndex.open(checkpoint / "index" / "beir" / "scifact").n_docs == len(PASSAGES)


def test_what_needs_an_inverted_index_refuses_a_dense_model_in_words(splade, workplace, checkpoint, capsys):
    given = where(checkpoint)
    refused(lambda: splade("encode", *given, cwd=workplace, **CONFIG), "this model is dense", capsys)
    given.append("config.search.strategy=exhaustive")
    refused(lambda: splade("retrieve", *given, cwd=workplace, **CONFIG), "is for inverted indexes", capsys)


def test_a_dense_model_is_validated_by_the_ranking_that_brute_force_gives(workplace):
    model = Dense(workplace / "MODEL")
    qrels = {query: {f"d{n}": 1} for n, query in enumerate(QUESTIONS)}
    documents = [Text(f"d{n}", text) for n, text in enumerate(PASSAGES)]
    validation = FullRanking(documents, [Text(*item) for item in QUESTIONS.items()], qrels, top_k=12)
    scores = vectors(model, "query", QUESTIONS.values()).astype(np.float64) @ vectors(model, "document", PASSAGES).T
    places = [1 + int((row > row[n]).sum()) for n, row in enumerate(scores)]
    expected = np.mean([1 / place if place <= 10 else 0 for place in places])
    assert validation(model, ["mrr_10"])["mrr_10"] == pytest.approx(expected)
