"""A training killed in the middle goes on with any number of processes and micro-batches, to the same end."""

import pytest
import torch

from tests import forked
from tests.sampled import sampled
from tests.training.toy import rows, saved_weights, state_of, toy_trainer

SETTINGS = {"nb_iterations": 10, "train_batch_size": 5, "lr": 1e-4, "record_frequency": 5, "warmup_steps": 3}
WORKER = """
import os, signal, sys
from datetime import timedelta
from torch import distributed
from splade.training import Trainer
from tests.training.test_resume import SETTINGS
from tests.training.toy import toy_trainer

folder, n, kill_at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rank, children = 0, []
for number in range(1, n):
    pid = os.fork()
    if not pid:
        rank, children = number, []
        break
    children.append(pid)
if n > 1:
    distributed.init_process_group("gloo", init_method=f"file://{folder}.meet", rank=rank, world_size=n,
                                   timeout=timedelta(seconds=600))
trainer = toy_trainer(folder, **SETTINGS)
take = trainer.optimizer_step.take

def killed(step):
    if step == kill_at:
        if n > 1:
            distributed.barrier()
        os.kill(os.getpid(), signal.SIGKILL)
    return take(step)

trainer.optimizer_step.take = killed
trainer.run()
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
os._exit(0)
"""


def run(folder, processes, kill_at=-1):
    (ended,) = forked.run("-c", WORKER, folder, processes, kill_at)
    assert ended.status == (0 if kill_at < 0 else -9), ended.err


def assert_same(folder, straight, tolerance):
    mine, theirs = state_of(toy_trainer(folder, **SETTINGS)), state_of(straight)
    close = {"rtol": tolerance, "atol": tolerance}
    for name, weight in theirs["model"].items():
        torch.testing.assert_close(mine["model"][name], weight, **close)
    for number, entry in theirs["optimizer"]["state"].items():
        for name, value in entry.items():
            torch.testing.assert_close(mine["optimizer"]["state"][number][name], value, **close)
    best, saved = saved_weights(folder / "model"), saved_weights(straight.model_dir)
    for name, weight in saved.items():
        torch.testing.assert_close(best[name], weight, **close)
    for one, two in zip(rows(folder), rows(straight.checkpoint_dir), strict=True):
        assert one == pytest.approx(two, rel=max(tolerance * 10, 1e-12))
    assert mine["progress"][:2] == theirs["progress"][:2] == (10, 10)
    assert mine["progress"][2] == pytest.approx(theirs["progress"][2], rel=max(tolerance * 10, 1e-12))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    trainer = toy_trainer(tmp_path_factory.mktemp("straight"), **SETTINGS)
    trainer.run()
    return trainer


@pytest.mark.parametrize(("before", "after"), sampled([(2, 1), (1, 2), (2, 3), (1, 1)]))
def test_a_training_killed_at_step_five_goes_on_with_other_processes(tmp_path, straight, before, after):
    folder = tmp_path / "run"
    run(folder, before, kill_at=6)
    assert state_of(toy_trainer(folder, **SETTINGS))["progress"][0] == 5
    (tmp_path / "run.meet").unlink(missing_ok=True)
    run(folder, after)
    assert_same(folder, straight, 0.0 if (before, after) == (1, 1) else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("cut", sampled([{"micro_batch_tokens": 25}, {"micro_batch_size": 2}]), ids=str)
def test_a_training_killed_at_step_five_goes_on_with_other_micro_batches(tmp_path, straight, cut):
    run(tmp_path / "run", 1, kill_at=6)
    assert toy_trainer(tmp_path / "run", **SETTINGS, **cut).run().steps_now == 5
    assert_same(tmp_path / "run", straight, 1e-5)
