"""A reranker is trained by several processes as by one."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.tiny import tiny_cross_encoder, tiny_t5

STEPS = 8
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")
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


def trained(folder, launcher, model, kind, *overrides, fails=False):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("SPLADE_CONFIG_FULLPATH", None)
    environment["SPLADE_CONFIG_NAME"] = "config_reranker_train_toy"
    where = (f"config.checkpoint_dir={folder}", f"init_dict.model_type_or_dir={model}", f"config.reranker_type={kind}")
    command = [sys.executable, *launcher, "-m", "splade.hf_train_reranker", *SETTINGS, *where, *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert bool(done.returncode) == fails, done.stderr
    if fails:
        return done.stderr
    rows = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return load_file(folder / "model" / "model.safetensors"), rows


@pytest.mark.parametrize("kind", ["cross_encoder", pytest.param("rankT5", marks=pytest.mark.slow)])
def test_three_processes_write_the_weights_and_the_log_of_one(tmp_path, kind):
    model = KINDS[kind](tmp_path / "start", layers=1)
    config = json.loads((model / "config.json").read_text())
    assert config.get("hidden_dropout_prob", config.get("dropout_rate")) == 0.1
    expected, log = trained(tmp_path / "one", (), model, kind)
    found, own_log = trained(tmp_path / "three", (*TOGETHER, "3"), model, kind, "config.micro_batch_size=1")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-4)
    assert [row["step"] for row in own_log] == list(range(1, STEPS + 1))
    for name in ("loss", "positive_first", "grad_norm"):
        assert [row[name] for row in own_log] == pytest.approx([row[name] for row in log], rel=1e-3)
    start = load_file(model / "model.safetensors")
    assert max(float((expected[name] - start[name]).abs().max()) for name in start) > 1e-3  # it did learn


def test_more_processes_than_queries_in_a_batch_are_refused(tmp_path):
    model = tiny_cross_encoder(tmp_path / "start", layers=1)
    said = trained(tmp_path / "run", (*TOGETHER, "2"), model, "cross_encoder", "config.train_batch_size=1", fails=True)
    assert "config.train_batch_size=1 counts the queries of all processes, and there are 2 of these" in said
