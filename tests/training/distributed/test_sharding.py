"""Weights spread over two processes train as whole ones on one, and are written whole."""

import logging

import pytest
import torch

from splade.files import InputError
from splade.losses import InBatchPairwiseNLL
from splade.models import Splade, load_retriever
from splade.training import Trainer
from tests.forked import run_well
from tests.tiny import tiny_mlm
from tests.training.toy import ToyExamples, penalties, rows, state_of, toy_trainer

WORKER = """
import os, sys
from datetime import timedelta
from torch import distributed
from tests.training.distributed.test_sharding import two_encoders

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=600))
two_encoders(folder, "sharded", nb_iterations=3, micro_batch_tokens=30 + 20 * rank).run()
trainer = two_encoders(folder, "sharded", nb_iterations=6)
if rank == 0:
    held = sum(p.to_local().numel() for p in trainer.model.parameters())
    assert held <= 0.6 * sum(p.numel() for p in trainer.model.parameters()), held
assert trainer.run().steps_now == 3
two_encoders(folder, "left", nb_iterations=3).run()
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def two_encoders(folder, name, *, fsdp=True, **settings):
    """A trainer with a query encoder of its own, dropout, validation by loss."""
    model = Splade(f"{folder}/mlm", model_type_or_dir_q=f"{folder}/mlm", max_length=16)
    chosen = {
        "checkpoint_dir": f"{folder}/{name}",
        "nb_iterations": 6,
        "train_batch_size": 4,
        "lr": 1e-4,
        "in_batch_negatives": True,
        "validation_loss_examples": 4,
        "monitoring_ckpt": "loss",
        "record_frequency": 3,
        "train_monitoring_freq": 1,
        "tensorboard": False,
        "gradient_accumulation_steps": 2,
        "max_grad_norm": 0.5,
        "ema_decay": 0.5,
    }
    examples = ToyExamples(16)
    return Trainer(model, InBatchPairwiseNLL(), penalties(1e-4, 1e-4), examples, fsdp=fsdp, **(chosen | settings))


@pytest.mark.slow  # that layers are spread and train as whole ones is tested in test_sharding_layers.py, too
def test_two_processes_with_spread_weights_train_continue_and_save_as_one_with_whole_weights(tmp_path):
    tiny_mlm(tmp_path / "mlm", hidden=16, layers=1)
    run_well("-c", WORKER, tmp_path)
    alone = two_encoders(tmp_path, "alone", fsdp=False, nb_iterations=3)
    alone.run()
    left = two_encoders(tmp_path, "left", fsdp=False, nb_iterations=6)
    assert left.run().steps_now == 3  # begun on two processes, spread; ended on one, whole
    alone = two_encoders(tmp_path, "alone", fsdp=False)
    alone.run()
    spread = two_encoders(tmp_path, "sharded", fsdp=False)
    for name, weight in state_of(alone)["model"].items():
        for other in (spread, left):
            torch.testing.assert_close(state_of(other)["model"][name], weight, rtol=1e-4, atol=1e-4)
    for one, two in zip(rows(tmp_path / "alone"), rows(tmp_path / "sharded"), strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    saved, expected = load_retriever(spread.model_dir), load_retriever(alone.model_dir)
    for (name, weight), (_, other) in zip(expected.named_parameters(), saved.named_parameters(), strict=True):
        torch.testing.assert_close(other, weight, rtol=1e-4, atol=1e-4, msg=name)


def test_on_one_process_there_is_nothing_to_spread(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        trainer = toy_trainer(tmp_path, nb_iterations=2, fsdp=True)
    assert "config.fsdp=true has no effect on one process" in caplog.text
    assert trainer.run().steps == 2


def test_half_precision_with_a_loss_scale_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not with config\.fp16=true"):
        toy_trainer(tmp_path, fsdp=True, fp16=True)


def test_computing_states_again_is_refused_where_no_part_can(tmp_path):
    with pytest.raises(InputError, match=r"config\.gradient_checkpointing=true: no part of this model"):
        toy_trainer(tmp_path, gradient_checkpointing=True)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("arch", ["bert", "distilbert"])
def test_states_computed_again_give_the_same_gradient_with_dropout(tmp_path, arch):
    tiny_mlm(tmp_path / "mlm", hidden=16, layers=2, arch=arch)
    found = []
    for again in (False, True):
        trainer = two_encoders(tmp_path, f"again{again}", fsdp=False, gradient_checkpointing=again)
        step, parts = trainer.optimizer_step, trainer.parts
        parts.model.train()
        first, examples = step.own_examples(0)
        step.gradient.backward(step.gradient.share(examples, first), 0, 5)
        found.append({name: p.grad for name, p in parts.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-5, atol=1e-6, msg=name)
