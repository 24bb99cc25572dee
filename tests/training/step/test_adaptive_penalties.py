"""Penalties that learn during training: composed, trained with, continued exactly, the same however batches are cut."""

import json

import pytest
import torch
from hydra.utils import instantiate

from splade.config import configure
from splade.config.checking.wiring import components
from splade.regularization import FLOPS, ConstantRamp, DocumentFrequencyFLOPS, Penalty, TargetController
from splade.training import Interrupted
from tests.forked import run_well
from tests.sampled import sampled
from tests.training.test_trainer import Interrupting, raise_interrupt
from tests.training.toy import TOKENIZER, ToyExamples, ToyRetriever, rows, same, saved_weights, state_of, toy_trainer

ARGUMENTS = {"masked_FLOPS": ["threshold=5"], "IDF_FLOPS": ["idf={}/idf.json"], "DF_FLOPS": ["every=5", "alpha=0.3"]}
MONITORS = {"L0", "sparsity_ratio"}
MEASURES = [name for name in components().catalog.regularizer if name not in MONITORS]


def adaptive():
    return [
        Penalty("DF", "query", DocumentFrequencyFLOPS(every=2, alpha=0.3, beta=2.0), ConstantRamp(0.05)),
        Penalty("DF", "document", DocumentFrequencyFLOPS(every=3, alpha=0.3), ConstantRamp(0.05)),
        Penalty("FLOPS", "query", FLOPS(), TargetController(ConstantRamp(0.05), 5, steps=5)),
        Penalty("FLOPS", "document", FLOPS(), TargetController(ConstantRamp(0.05), 9, steps=5)),
    ]


WORKER = """
import os, sys
from datetime import timedelta
from torch import distributed
from tests.training.step.test_adaptive_penalties import adaptive
from tests.training.toy import toy_trainer

folder, parent = sys.argv[1], os.fork()
distributed.init_process_group("gloo", init_method=f"file://{folder}.meet", rank=int(parent == 0), world_size=2,
                               timeout=timedelta(seconds=600))
toy_trainer(folder, penalties=adaptive(), lr=1e-4, ema_decay=0.9).run()
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def learnt(trainer):
    return state_of(trainer)["penalties"]


def equal(one, two):
    return one.keys() == two.keys() and all(
        torch.equal(one[name], two[name]) if isinstance(one[name], torch.Tensor) else one[name] == two[name]
        for name in one
    )


@pytest.mark.parametrize("name", sampled(MEASURES, "DF_FLOPS"))
def test_a_regularizer_of_the_catalog_is_composed_and_falls_in_twenty_steps(name, tmp_path):
    (tmp_path / "idf.json").write_text(
        json.dumps({token: 1.0 + number / 50 for token, number in TOKENIZER.get_vocab().items()})
    )
    given = [f"config.regularizer.mine.{each}".format(tmp_path) for each in ARGUMENTS.get(name, [])]
    given += [f"config.regularizer.mine.{each}" for each in (f"reg={name}", "lambda_q=3", "lambda_d=3")]
    penalties = instantiate(configure("train", ["regularizer=none", *given]).penalties)
    bias = -0.5 if name == "anti_collapse" else 0.0
    settings = {"nb_iterations": 20, "train_batch_size": 8, "record_frequency": 20, "train_monitoring_freq": 1}
    toy_trainer(tmp_path / "run", model=ToyRetriever(bias=bias), penalties=penalties, **settings).run()
    for side in ("query", "document"):
        values = [row[f"mine_{side}"] for row in rows(tmp_path / "run") if "loss" in row]
        assert sum(values[-5:]) < 0.9 * sum(values[:5])


@pytest.mark.parametrize("at", sampled([4 * 7 + 2 + 12, 4 * 8 + 12]), ids=["inside a step", "at the start of a step"])
def test_an_interrupted_run_with_penalties_that_learn_continues_bit_for_bit(tmp_path, at):
    straight = toy_trainer(tmp_path / "straight", penalties=adaptive())
    straight.run()
    with pytest.raises(Interrupted):
        toy_trainer(tmp_path / "run", penalties=adaptive(), examples=Interrupting(at, raise_interrupt)).run()
    trainer = toy_trainer(tmp_path / "run", penalties=adaptive())
    assert 0 < trainer.run().steps_now < 12
    assert same(state_of(trainer)["model"], state_of(straight)["model"])
    assert same(saved_weights(trainer.model_dir), saved_weights(straight.model_dir))
    assert rows(tmp_path / "run") == rows(tmp_path / "straight")
    for name, state in learnt(straight).items():
        assert equal(learnt(trainer)[name], state), name


@pytest.mark.parametrize("cut", sampled([{"micro_batch_size": 1}, {"micro_batch_tokens": 30}]), ids=str)
def test_what_is_learnt_does_not_depend_on_micro_batches(tmp_path, cut):
    ends = []
    for name, options in (("whole", {}), ("cut", cut)):
        trainer = toy_trainer(tmp_path / name, penalties=adaptive(), lr=1e-4, **options)
        trainer.run()
        ends.append(learnt(trainer))
    for name, state in ends[0].items():
        for part, value in state.items():
            torch.testing.assert_close(ends[1][name][part], value, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    run_well("-c", WORKER, tmp_path / "two")
    alone, two = (toy_trainer(tmp_path / name, penalties=adaptive(), lr=1e-4, ema_decay=0.9) for name in ("one", "two"))
    alone.run()
    assert two.run().steps_now == 0
    for name, state in learnt(alone).items():
        for part, value in state.items():
            torch.testing.assert_close(learnt(two)[name][part], value, rtol=1e-6, atol=1e-9)
    for name, weight in state_of(alone)["average"].items():
        torch.testing.assert_close(state_of(two)["average"][name], weight, rtol=1e-5, atol=1e-5)


def test_validation_teaches_penalties_nothing(tmp_path):
    ends = []
    for name, every in (("often", 1), ("once", 6)):
        trainer = toy_trainer(tmp_path / name, penalties=adaptive(), nb_iterations=6, record_frequency=every)
        trainer.run()
        ends.append(learnt(trainer))
    assert all(equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.slow
@pytest.mark.parametrize("start", [1e-4, 1e-2, 1.0])
def test_training_ends_with_the_non_zeros_that_were_asked_for_whatever_the_first_weight(tmp_path, start):
    targets = {"query": 8, "document": 12}
    penalties = [
        Penalty("FLOPS", side, FLOPS(), TargetController(ConstantRamp(start), target, steps=20))
        for side, target in targets.items()
    ]
    settings = {"nb_iterations": 1000, "train_batch_size": 16, "record_frequency": 1000, "train_monitoring_freq": 100}
    settings |= {"lr": 0.005, "validation_loss_examples": 0, "monitoring_ckpt": None}
    model = ToyRetriever(width=16, bias=0.0)
    toy_trainer(tmp_path, model=model, examples=ToyExamples(60), penalties=penalties, **settings).run()
    last = rows(tmp_path)[-1]
    assert last["L0_q"] == pytest.approx(targets["query"], rel=0.1)
    assert last["L0_d"] == pytest.approx(targets["document"], rel=0.1)
