"""The two toy reranker configs, one after the other: what the first trains, the second reranks with."""

import gzip

import pytest

from splade.config import configure, toy_dir
from splade.evaluation.runs import read_run
from splade.files import InputError
from splade.hf_train_reranker import hf_train_reranker
from splade.rerank import rerank
from tests.tiny import tiny_mlm


@pytest.mark.slow
def test_the_trained_toy_reranker_reranks_the_toy_run(tmp_path):
    paths = [
        f"config.checkpoint_dir={tmp_path / 'checkpoint'}",
        f"init_dict.model_type_or_dir={tiny_mlm(tmp_path / 'mlm')}",
    ]
    small = ["config.nb_iterations=2", "config.warmup_steps=0", "config.train_batch_size=2"]
    summary = hf_train_reranker(
        configure("hf_train_reranker", [*paths, *small], {"SPLADE_CONFIG_NAME": "config_reranker_train_toy"})
    )
    assert summary.steps == 2
    scores = tmp_path / "scores.jsonl"
    scores.write_bytes(gzip.decompress((toy_dir() / "hard_negatives" / "scores.jsonl.gz").read_bytes()))
    for other in (
        f"data.TRAIN.DATASET_PATH={scores}",
        f"init_dict.model_type_or_dir={tiny_mlm(tmp_path / 'b', seed=3)}",
    ):
        with pytest.raises(InputError, match=r"given\.(examples\.scores|reranker\.model_type_or_dir) was "):
            hf_train_reranker(
                configure(
                    "hf_train_reranker",
                    [*paths, *small, "config.nb_iterations=3", other],
                    {"SPLADE_CONFIG_NAME": "config_reranker_train_toy"},
                )
            )
    out = [f"config.out_dir={tmp_path / 'out'}", "config.top_k=5"]
    results = rerank(configure("rerank", [*paths, *out], {"SPLADE_CONFIG_NAME": "config_reranker_toy"}))
    assert set(results) == {"TOY/bm25/5"}
    run = read_run(tmp_path / "out/TOY/bm25/5/run.json")
    assert len(run) > 100
    assert all(len(ranked) <= 5 for ranked in run.values())
    assert (tmp_path / "out/TOY/bm25/5/perf.json").is_file()
    assert (tmp_path / "checkpoint/config.yaml").is_file()
