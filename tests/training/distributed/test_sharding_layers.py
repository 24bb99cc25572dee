"""Weights are spread layer by layer, whatever the processes' texts, and gathered one tensor at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from splade.losses import InBatchPairwiseNLL
from splade.models import Splade
from splade.records import Text
from splade.training import Trainer
from splade.training.distributed import sharding
from splade.training.distributed.sharding import layers, whole
from splade.training.step.batch_share import in_one_order
from tests.forked import run_well
from tests.tiny import tiny_mlm
from tests.training.toy import TOPICS, ToyExamples, penalties, state_of

WORKER = """
import os, sys
from datetime import timedelta
from torch import distributed
from splade.training.distributed.sharding import layers
from tests.training.distributed.test_sharding_layers import uneven

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=120))
trainer = uneven(folder, "spread", fsdp=True)
trainer.run()
found = [layer for encoder in trainer.model.encoders.values() for layer in layers(encoder)]
assert len(found) == 3 and all(type(layer).__name__.startswith("FSDP") for layer in found), found
for layer in found:
    assert not any(hasattr(parameter, "_unsharded_param") for parameter in layer.parameters())
    held, of = (sum(n(p) for p in layer.parameters()) for n in (lambda p: p.to_local().numel(), lambda p: p.numel()))
    assert held <= 0.6 * of, (held, of)
state = trainer.parts.state()
for kind in ("model", "average"):
    spread = [value for value in state[kind].values() if value is None]
    assert bool(spread) == bool(rank), (rank, kind)
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


class UnevenExamples(ToyExamples):
    """Every fourth query is long: one process finds texts of like length to compute together, the other does not."""

    def example(self, index, rng):
        found = super().example(index, rng)
        if index % 4:
            return found
        return found._replace(query=Text(found.query.id, f"{found.query.text} {' '.join(TOPICS[:50])}"))


def uneven(folder, name, **settings):
    model = Splade(f"{folder}/mlm", max_length=64)
    chosen = {
        "checkpoint_dir": f"{folder}/{name}",
        "nb_iterations": 3,
        "train_batch_size": 5,
        "lr": 1e-3,
        "in_batch_negatives": True,
        "record_frequency": 3,
        "tensorboard": False,
        "gradient_checkpointing": True,
        "micro_batch_size": 2,
        "ema_decay": 0.5,
    }
    return Trainer(model, InBatchPairwiseNLL(), penalties(1e-4, 1e-4), UnevenExamples(16), **(chosen | settings))


@pytest.mark.slow
def test_layers_are_spread_each_by_itself_and_train_as_whole_ones(tmp_path):
    tiny_mlm(tmp_path / "mlm", hidden=16, layers=3)
    run_well("-c", WORKER, tmp_path)
    alone, spread = uneven(tmp_path, "alone"), uneven(tmp_path, "spread")
    alone.run()
    assert spread.run().steps_now == 0
    for kind in ("model", "average"):
        for name, weight in state_of(alone)[kind].items():
            torch.testing.assert_close(state_of(spread)[kind][name], weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", ["bert", "distilbert"])
def test_the_layers_of_a_model_are_those_of_its_transformer(tmp_path, arch):
    model = Splade(str(tiny_mlm(tmp_path / "mlm", hidden=16, layers=3, arch=arch)))
    found = list(layers(model))
    assert len(found) == 3
    assert len({type(layer) for layer in found}) == 1
    assert not list(layers(nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.Linear(2, 2), nn.ReLU()]))))


def test_processes_meet_documents_before_queries_however_they_cut():
    def part(queries, documents):
        return {"query": np.arange(queries), "document": np.arange(documents)}

    given = [part(2, 0), part(1, 3), part(0, 4), part(3, 0), part(0, 1)]
    found = in_one_order(given)
    assert [tuple(each) for each in found] == [("document", "query")] * 5
    counts = [(len(each["query"]), len(each["document"])) for each in found]
    assert counts == [(0, 4), (0, 1), (1, 3), (2, 0), (3, 0)]
    assert in_one_order([{"document": np.arange(2)}])[0].keys() == {"document"}


class Spread:
    """A tensor that is spread over processes; tells what is done with it."""

    def __init__(self, name, done):
        self.name, self.done = name, done

    def full_tensor(self):
        self.done.append(f"gather {self.name}")
        return self

    def cpu(self):
        self.done.append(f"{self.name} to the CPU")
        return self.name


@pytest.mark.parametrize(
    ("rank", "expected", "steps"),
    [
        (0, {"model": {"a": "a", "b": "b"}, "step": 3}, ["gather a", "a to the CPU", "gather b", "b to the CPU"]),
        (1, {"model": {"a": None, "b": None}, "step": 3}, ["gather a", "gather b"]),
    ],
)
def test_a_checkpoint_is_gathered_one_tensor_at_a_time_on_the_first_ranks_cpu(rank, expected, steps, monkeypatch):
    done = []
    monkeypatch.setattr(sharding, "world", lambda: (rank, 2))
    assert whole({"model": {name: Spread(name, done) for name in "ab"}, "step": 3}) == expected
    assert done == steps
