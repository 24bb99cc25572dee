"""A reranker is trained by several processes as by one."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.forked import run, run_well
from tests.tiny import tiny_cross_encoder, tiny_t5

STEPS = 8
KINDS = {"cross_encoder": tiny_cross_encoder, "rankT5": tiny_t5}
SETTINGS = (
    f"config.nb_iterations={STEPS}",
    "config.warmup_steps=2",
    "config.train_batch_size=5",
    "config.gradient_accumulation_steps=2",
    "config.train_monitoring_freq=1",
    f"config.record_frequency={STEPS}",
    "config.max_length=48",
    "init_dict.head=pretrained",
    "loss=bce",  # softmax has no gradient for the head's bias but that of rounding
)


def launched(folder, processes, model, kind, *overrides, run=run_well):
    where = (f"config.checkpoint_dir={folder}", f"init_dict.model_type_or_dir={model}", f"config.reranker_type={kind}")
    command = ("-m", "splade.hf_train_reranker", *SETTINGS, *where, *overrides)
    return run(*command, processes=processes, SPLADE_CONFIG_NAME="config_reranker_train_toy")


def trained(folder, processes, model, kind, *overrides):
    launched(folder, processes, model, kind, *overrides)
    rows = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return load_file(folder / "model" / "model.safetensors"), rows


@pytest.mark.slow  # two processes train a retriever as one in every run
@pytest.mark.parametrize("kind", ["cross_encoder", "rankT5"])
def test_three_processes_write_the_weights_and_the_log_of_one(tmp_path, kind):
    model = KINDS[kind](tmp_path / "start", layers=1)
    config = json.loads((model / "config.json").read_text())
    assert config.get("hidden_dropout_prob", config.get("dropout_rate")) == 0.1
    expected, log = trained(tmp_path / "one", 1, model, kind)
    found, own_log = trained(tmp_path / "three", 3, model, kind, "config.micro_batch_size=1")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-4)
    assert [row["step"] for row in own_log] == list(range(1, STEPS + 1))
    for name in ("loss", "positive_first", "grad_norm"):
        assert [row[name] for row in own_log] == pytest.approx([row[name] for row in log], rel=1e-3)
    start = load_file(model / "model.safetensors")
    assert max(float((expected[name] - start[name]).abs().max()) for name in start) > 1e-3  # it did learn


@pytest.mark.slow
def test_more_processes_than_queries_in_a_batch_are_refused(tmp_path):
    model = tiny_cross_encoder(tmp_path / "start", layers=1)
    ended = launched(tmp_path / "run", 2, model, "cross_encoder", "config.train_batch_size=1", run=run)
    assert all(each.status for each in ended)
    said = "".join(each.err for each in ended)
    assert "config.train_batch_size=1 counts the queries of all processes, and there are 2 of these" in said
