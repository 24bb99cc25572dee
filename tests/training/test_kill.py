"""SIGKILL, which nothing can catch, and the real model."""

import os
import signal

import pytest
import torch

from splade.losses import InBatchPairwiseNLL
from splade.models import Splade, load_retriever
from splade.records import Text
from splade.training import FullRanking, Interrupted, Trainer
from tests.forked import run_well
from tests.tiny import tiny_mlm
from tests.training.test_trainer import Interrupting, assert_same_end, raise_interrupt
from tests.training.toy import TOPICS, ToyExamples, document, penalties, same, state_of, toy_trainer

KILLED = """
import sys
from pathlib import Path
from tests.cutting import Cut, in_child, killed_everywhere
from tests.training.test_kill import die
from tests.training.test_trainer import Interrupting
from tests.training.toy import toy_trainer
folder = Path(sys.argv[1])

for at in map(int, sys.argv[2:]):
    assert in_child(lambda: toy_trainer(folder / str(at), examples=Interrupting(at, die)).run()) == -9, at
print(killed_everywhere(lambda: toy_trainer(folder / "everywhere").run()))
"""
CHECKPOINT, INSIDE = 4 * 6 + 12, 4 * 7 + 14  # examples read when step 6 has been recorded, and inside step 8


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_killed_runs_continue_to_the_same_end_bit_for_bit(tmp_path):
    (ended,) = run_well("-c", KILLED, tmp_path, CHECKPOINT, INSIDE)
    assert int(ended.out) >= 10  # before and after each file got its name, one run continued again and again
    straight = toy_trainer(tmp_path / "straight")
    summary = straight.run()
    for name, steps_left in ((str(CHECKPOINT), 6), (str(INSIDE), 6), ("everywhere", 0)):
        resumed = toy_trainer(tmp_path / name)
        assert resumed.run().steps_now == steps_left
        assert_same_end(resumed, (straight, summary))


def real_trainer(folder, mlm, **settings):
    examples = ToyExamples(16)
    ranking = FullRanking(
        [document(number) for number in range(16)],
        [Text(f"q{number}", f"what is {TOPICS[number]}") for number in range(16)],
        {f"q{number}": {f"d{number}": 1} for number in range(16)},
        top_k=10,
        batch_size=8,
    )
    options = {
        "checkpoint_dir": folder,
        "nb_iterations": 8,
        "train_batch_size": 4,
        "lr": 1e-3,
        "in_batch_negatives": True,
        "validation_metrics": ["MRR@10", "recall@5"],
        "monitoring_ckpt": "mrr_10",
        "record_frequency": 4,
        "tensorboard": False,
    }
    model = Splade(str(mlm), max_length=24)
    parts = settings.pop("examples", examples)
    return Trainer(
        model, InBatchPairwiseNLL(), penalties(1e-4, 1e-4), parts, full_ranking=ranking, **{**options, **settings}
    )


def test_a_real_model_trains_validates_by_full_ranking_and_resumes_bit_for_bit(tmp_path):
    mlm = tiny_mlm(tmp_path / "mlm")
    straight = real_trainer(tmp_path / "straight", mlm)
    summary = straight.run()
    assert 0.0 < summary.figures["MRR@10"] <= 1.0
    assert "recall@5" in summary.figures

    interrupting = Interrupting(4 * 5 + 1, raise_interrupt)
    interrupting.n = 16
    with pytest.raises(Interrupted):
        real_trainer(tmp_path / "cut", mlm, examples=interrupting).run()
    resumed = real_trainer(tmp_path / "cut", mlm)
    assert resumed.run().steps_now == 3
    assert same(state_of(resumed)["model"], state_of(straight)["model"])

    loaded = load_retriever(straight.model_dir)
    assert loaded.extra["training_step"] == summary.best_step
    again = straight.full_ranking(loaded, ["MRR@10"])
    assert again["MRR@10"] == pytest.approx(summary.best_score)


def test_a_real_model_has_the_same_gradient_in_micro_batches(tmp_path):
    mlm = tiny_mlm(tmp_path / "mlm")
    ends = []
    for size in (None, 1):
        trainer = real_trainer(tmp_path / str(size), mlm, micro_batch_size=size)
        trainer.model.train()
        step = trainer.optimizer_step.gradient
        step.backward(step.share(trainer.optimizer_step.own_examples(0)[1]), batch=0, step=8)
        ends.append({name: p.grad for name, p in trainer.model.named_parameters()})
    for name, gradient in ends[0].items():
        torch.testing.assert_close(ends[1][name], gradient, rtol=1e-4, atol=1e-5, msg=name)
