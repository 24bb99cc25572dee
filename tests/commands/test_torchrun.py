"""Several processes train as one."""

import json

import pytest
import torch
from safetensors.torch import load_file

from splade.files import read_json
from tests.forked import run_well
from tests.tiny import tiny_mlm

TRAIN = (
    "-m",
    "splade.train",
    "config.nb_iterations=20",
    "config.warmup_steps=4",
    "config.train_batch_size=6",
    "config.record_frequency=20",
    "config.train_monitoring_freq=1",
    "validation=none",
    "config.max_length=32",
)


CUTS = {
    "micro-batches": (1, ("config.micro_batch_size=2",)),
    "checkpointing": (1, ("config.gradient_checkpointing=true",)),
    "two": (2, ()),
    "two, sharded": (2, ("config.fsdp=true", "config.micro_batch_tokens=60")),
    "two, in tokens": (2, ("config.micro_batch_tokens=60",)),
}


def trained(folder, processes, model, *overrides):
    where = (f"config.checkpoint_dir={folder}", f"init_dict.model_type_or_dir={model}")
    run_well(*TRAIN, *where, *overrides, processes=processes)
    return load_file(folder / "model" / "model.safetensors")


@pytest.fixture(scope="module", params=["without dropout", "with dropout"])
def alone(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    model = tiny_mlm(folder / "mlm", hidden=16, layers=1)
    config = read_json(model / "config.json")
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == 0.1
    if request.param == "without dropout":
        config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        (model / "config.json").write_text(json.dumps(config))
    return model, trained(folder / "one", 1, model)


@pytest.mark.slow
@pytest.mark.parametrize("cut", CUTS)
def test_twenty_steps_write_the_same_weights_however_they_are_launched(tmp_path, alone, cut):
    model, expected = alone
    processes, overrides = CUTS[cut]
    found = trained(tmp_path / "run", processes, model, *overrides)
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_mixture_of_data_sets_writes_the_same_weights_on_two_processes(tmp_path):
    model = tiny_mlm(tmp_path / "mlm", hidden=16, layers=1)
    mixture = ("train/data=toy_mixed", "loss=margin_mse", "config.nb_iterations=6", "config.warmup_steps=1")
    expected = trained(tmp_path / "one", 1, model, *mixture)
    found = trained(tmp_path / "two", 2, model, *mixture)
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-4)
