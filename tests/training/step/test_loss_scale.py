"""fp16's loss scale: what is skipped is told, is learnt from by nothing, and ends where nothing else happens."""

import pytest
import torch

from splade.files import InputError
from splade.regularization import FLOPS, Penalty
from splade.regularization.controller import TargetController
from splade.regularization.ramps import QuadraticRamp
from splade.training.step.optimizer import MOST_SKIPPED, Precision
from tests.training.toy import ToyRetriever, rows, same, state_of, toy_trainer

SCALE = 2.0**16


class Overflowing(ToyRetriever):
    """Its gradients are infinite in the optimizer steps ``at`` (from 0)."""

    def __init__(self, at):
        super().__init__()
        self.at, self.backwards = at, 0
        self.head.weight.register_hook(self._gradient)

    def _gradient(self, gradient):
        self.backwards += 1
        return gradient * torch.inf if self.backwards - 1 in self.at else gradient


@pytest.fixture
def scaled(monkeypatch):
    """Training on a CPU with a loss scale, as fp16 has it on CUDA."""

    class Scaled(Precision):
        def __init__(self, device, **settings):
            super().__init__(device)
            self.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
            self.columns = ("loss_scale", "skipped")

    monkeypatch.setattr("splade.training.step.trained_parts.Precision", Scaled)
    return Scaled


def trainer(folder, at, **settings):
    options = {"nb_iterations": 6, "train_monitoring_freq": 1, "validation_loss_examples": 0, "monitoring_ckpt": None}
    return toy_trainer(folder, model=Overflowing(at), **(options | settings))


def test_skipped_steps_and_the_scale_are_in_the_log(tmp_path, scaled):
    trainer(tmp_path, {1, 2}).run()
    logged = rows(tmp_path)
    assert [row["skipped"] for row in logged] == [0, 1, 1, 0, 0, 0]
    assert [row["loss_scale"] for row in logged] == [SCALE, SCALE / 2, *[SCALE / 4] * 4]
    head = (tmp_path / "training_log.csv").read_text().splitlines()[0].split(",")
    assert {"skipped", "loss_scale"} <= set(head)


def test_without_a_scale_nothing_is_said_of_one(tmp_path):
    trainer(tmp_path, set()).run()
    assert not {"skipped", "loss_scale"} & {*rows(tmp_path)[0]}


def end(folder, at, n):
    """What a controller of λ and the average of weights have learnt after ``n`` steps, those ``at`` skipped."""
    learner = TargetController(QuadraticRamp(0.1, 1), target=1.0, steps=5)
    penalties = [Penalty("FLOPS", "document", FLOPS(), learner)]
    one = trainer(folder, at, nb_iterations=n, penalties=penalties, ema_decay=0.5)
    one.run()
    return learner.state(), state_of(one)["average"]


def test_penalties_and_the_average_of_weights_learn_nothing_from_skipped_steps(tmp_path, scaled):
    learnt, average = end(tmp_path / "three", set(), 3)
    assert learnt["_average"] is not None
    skipping = end(tmp_path / "skipping", {3, 4}, 5)
    assert skipping[0] == learnt
    assert same(skipping[1], average)
    five = end(tmp_path / "five", set(), 5)
    assert five[0] != learnt
    assert not same(five[1], average)


def test_a_count_of_skipped_steps_goes_on_where_a_training_is_continued(scaled):
    first, second = (scaled(torch.device("cpu")) for _ in range(2))
    weight = torch.nn.Parameter(torch.zeros(1))
    update = torch.optim.SGD([weight], lr=1.0)
    first.scaled(weight.sum() * torch.inf).backward()
    first.clip(update, None)
    assert not first.apply(update)
    second.restore(first.state())
    assert second.logged() == first.logged() == {"loss_scale": SCALE / 2, "skipped": 1.0}
    second.restore({})  # written by a training without a scale
    assert second.skipped == 1


def test_a_run_that_skips_every_step_ends_in_words(tmp_path, scaled):
    short = trainer(tmp_path / "short", range(100))
    with pytest.raises(InputError, match=r"the last 6 steps were skipped, up to step 6.*config\.fp16=false"):
        short.run()
    long = trainer(tmp_path / "long", range(3, 1000), nb_iterations=300)
    with pytest.raises(InputError, match=rf"the last {MOST_SKIPPED} steps were skipped, up to step {MOST_SKIPPED + 3}"):
        long.run()
