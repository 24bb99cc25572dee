"""A process that fails prints why and ends at once, and the others of its training end with it."""

import json

import pytest

from splade.files import InputError
from splade.training.distributed.processes import LOST, check_own_gpus
from tests.forked import run_well

# Forks pairs of processes, each pair a training; one of the two raises. The end of the group never comes while one
# rank is elsewhere, as with NCCL, where it is a collective.
WORKER = """
import functools, json, os, signal, sys
from pathlib import Path
from torch import distributed
from splade.config.words import in_words
from splade.files import InputError
from splade.training import checkpoint
from splade.training.monitoring import TrainingLog
from splade.training.distributed.processes import process_group
from tests.forked import run_well
from tests.training.toy import ToyExamples, ToyRetriever, toy_trainer

folder = Path(sys.argv[1])
make = distributed.init_process_group
os.environ |= {"WORLD_SIZE": "2"}

def fail(*_, **__):
    raise InputError("this one failed")

class Examples(ToyExamples):
    def example(self, index, rng):
        return fail() if len(self.read) == 3 else super().example(index, rng)

class Retriever(ToyRetriever):
    def forward(self, *inputs):
        return fail() if len(self.calls) == 3 else super().forward(*inputs)

def train(case, rank, failing):
    settings = {"nb_iterations": 3, "record_frequency": 2, "validation_loss_examples": 0, "monitoring_ckpt": None}
    if rank == failing:
        if case == "example":
            settings["examples"] = Examples()
        elif case == "encode":
            settings["model"] = Retriever()
        elif case == "log":
            TrainingLog.write = fail
        elif case == "checkpoint":
            checkpoint.save_state = fail
        elif case == "unforeseen":
            ToyExamples.example = lambda *_: 1 / 0
    distributed.init_process_group = functools.partial(
        make, init_method=f"file://{folder}/{case}{failing}.meet", rank=rank, world_size=2
    )
    distributed.destroy_process_group = signal.pause
    with process_group(os.environ):
        toy_trainer(folder / f"{case}{failing}", **settings).run()

def child(case, rank, failing):
    told = os.memfd_create("told")
    pid = os.fork()
    if not pid:
        os.dup2(told, 2)
        in_words("train", lambda: train(case, rank, failing))
    return pid, told

ends = {}
for case, failing in json.loads(sys.argv[2]):
    pair = [child(case, rank, failing) for rank in range(2)]
    ends[case + str(failing)] = [
        (os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.pread(told, 1 << 20, 0).decode()) for pid, told in pair
    ]
print(json.dumps(ends))
"""
CASES = [("example", 0), ("example", 1), ("encode", 1), ("log", 0), ("checkpoint", 0), ("unforeseen", 1)]


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Exit code and message of both ranks of each case."""
    (ended,) = run_well("-c", WORKER, tmp_path_factory.mktemp("ends"), json.dumps(CASES))
    return json.loads(ended.out.splitlines()[-1])


@pytest.mark.parametrize(("case", "failing"), CASES[:4])
def test_the_other_rank_leaves_with_the_one_that_fails_and_each_says_why(ends, case, failing):
    of_failing, of_other = ends[f"{case}{failing}"][failing], ends[f"{case}{failing}"][1 - failing]
    assert of_failing == [2, "splade train: this one failed\n"]
    assert of_other == [2, f"splade train: {LOST}\n"]


def test_what_the_first_rank_alone_does_fails_on_all_with_its_words(ends):
    assert ends["checkpoint0"] == [[2, "splade train: this one failed\n"]] * 2


def test_an_error_that_nobody_foresaw_keeps_its_traceback(ends):
    other, (code, told) = ends["unforeseen1"]
    assert (code, told.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")
    assert other == [2, f"splade train: {LOST}\n"]


def test_two_processes_on_one_gpu_are_refused_in_words():
    check_own_gpus(["one a", "one b", "two a"])
    with pytest.raises(InputError, match=r"3 processes have 2 GPUs.*torchrun --nproc_per_node gpu"):
        check_own_gpus(["one a", "one b", "one a"])
