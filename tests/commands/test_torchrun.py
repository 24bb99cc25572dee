"""Several processes train as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from splade.files import read_json
from tests.tiny import tiny_mlm

ROOT = Path(__file__).parents[2]
TRAIN = (
    "-m",
    "splade.train",
    "config.nb_iterations=3",
    "config.warmup_steps=1",
    "config.train_batch_size=6",
    "config.record_frequency=3",
    "config.train_monitoring_freq=1",
    "validation=none",
    "config.max_length=32",
)


def trained(folder, launcher, model):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH"):
        environment.pop(name, None)
    where = (f"config.checkpoint_dir={folder}", f"init_dict.model_type_or_dir={model}")
    done = subprocess.run(
        [sys.executable, *launcher, *TRAIN, *where], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "model_ckpt" / "last" / "state.pt", weights_only=False)["model"]


def test_two_processes_write_the_weights_of_one(tmp_path):
    model = tiny_mlm(tmp_path / "mlm", hidden=16, layers=1)
    config = read_json(model / "config.json")
    assert config["model_type"] == "bert"
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        config[name] = 0.0
    (model / "config.json").write_text(json.dumps(config))
    alone = trained(tmp_path / "one", (), model)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    together = trained(tmp_path / "two", launcher, model)
    assert alone.keys() == together.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=1e-5, rtol=1e-4)
