"""SIGTERM and SIGUSR1 end a training as Ctrl-C does: checkpoint, exit code, message."""

import os
import signal

import pytest

from splade.config.words import in_words
from splade.training import Interrupted
from tests.forked import run_well
from tests.sampled import sampled
from tests.training.test_trainer import Interrupting, assert_same_end
from tests.training.toy import state_of, toy_trainer

WORKER = """
import os, signal, sys
from datetime import timedelta
from torch import distributed
from splade.training import Interrupted
from tests.training.toy import toy_trainer

case, folder, parent = sys.argv[1], sys.argv[2], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/{case}.meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=120))
trainer = toy_trainer(f"{folder}/{case}")
due, validation = trainer._record_is_due, trainer.validation

def between_steps():
    if rank == 1 and trainer.progress.step == 4:
        os.kill(os.getpid(), signal.SIGTERM)
    return due()

def validate(*inputs):
    assert rank == 0
    if trainer.progress.step == 6:
        os.kill(os.getpid(), signal.SIGUSR1)
    return validation(*inputs)

if case == "between":
    trainer._record_is_due = between_steps
else:
    validate.monitor, validate.columns = validation.monitor, validation.columns
    trainer.validation = validate
try:
    trainer.run()
except Interrupted as interrupted:
    with open(f"{folder}/{case}{rank}", "w") as told:
        told.write(str(interrupted))
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def sending(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    trainer = toy_trainer(tmp_path_factory.mktemp("straight"))
    return trainer, trainer.run()


@pytest.mark.parametrize("number", sampled([signal.SIGTERM, signal.SIGUSR1]), ids=lambda number: number.name)
@pytest.mark.parametrize(("at", "step"), [(4 * 7 + 2 + 12, 8), (4 * 6 + 6 + 3, 6)], ids=["step", "validation"])
def test_a_signal_ends_a_training_that_continues_to_the_same_end(tmp_path, straight, number, at, step):
    before = signal.getsignal(number)
    trainer = toy_trainer(tmp_path, examples=Interrupting(at, sending(number)))
    with pytest.raises(Interrupted, match=f"training interrupted by {number.name} after step {step}; the same command"):
        trainer.run()
    assert signal.getsignal(number) is before
    assert state_of(trainer)["progress"][0] == step
    resumed = toy_trainer(tmp_path)
    assert resumed.run().steps_now == 12 - step
    assert_same_end(resumed, straight)


def test_the_command_that_a_signal_ends_has_the_exit_code_of_ctrl_c(tmp_path, capsys):
    trainer = toy_trainer(tmp_path, examples=Interrupting(9, sending(signal.SIGTERM)))
    with pytest.raises(SystemExit) as ended:
        in_words("train", trainer.run)
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("splade train: training interrupted by SIGTERM after step")


@pytest.mark.parametrize(
    ("case", "name", "step"),
    sampled([("validation", "SIGUSR1", 6), ("between", "SIGTERM", 5)]),
    ids=["validation", "between steps"],
)
def test_a_signal_to_one_of_two_processes_ends_both_after_the_same_step(tmp_path, straight, case, name, step):
    run_well("-c", WORKER, case, tmp_path)
    told = [(tmp_path / f"{case}{rank}").read_text() for rank in range(2)]
    assert all(f"after step {step}; the same command continues from there" in words for words in told)
    assert any(f"interrupted by {name}" in words for words in told)
    assert toy_trainer(tmp_path / case).run().steps_now == 12 - step
