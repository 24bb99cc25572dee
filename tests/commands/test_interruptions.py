"""Ctrl-C and SIGKILL in the middle: the same command continues, and ends as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.world import PASSAGES
from tests.conftest import ROOT

# Runs commands as the console script would, each in a process of its own, and signals each when a file holds a word.
DRIVER = """
import json, os, sys, time
from pathlib import Path
folder, runs = json.loads(sys.argv[1])
os.chdir(folder)

from splade.cli import main
import splade.retrieve, splade.train, torch.utils.tensorboard  # loaded once for all children
from splade.models import Splade
Splade("MODEL")

outcomes = []
for arguments, number, (file, word) in runs:
    told = os.memfd_create("told")
    child = os.fork()
    if not child:
        os.dup2(told, 1), os.dup2(told, 2)
        sys.argv = ["splade"]
        try:
            main(arguments)
        except SystemExit as ended:
            os._exit(ended.code)
        os._exit(0)
    while number:
        if Path(file).exists() and word in Path(file).read_text():
            os.kill(child, number)
            break
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.001)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    outcomes.append([status, os.pread(told, 1 << 20, 0).decode()])
print(json.dumps(outcomes))
"""
INDEX = (
    "index",
    "init_dict.model_type_or_dir=MODEL",
    "config.pretrained_no_yamlconfig=true",
    "data.COLLECTION_PATH=data/many",
    "config.index_memory_mb=1",
)
TRAIN = (
    "train",
    "init_dict.model_type_or_dir=MODEL",
    "data.type=triplets",
    "data.TRAIN_DATA_DIR=data/msmarco/triplets",
    "loss=in_batch",
    "validation=none",
    "config.nb_iterations=16",
    "config.warmup_steps=3",
    "config.train_batch_size=4",
    "config.train_monitoring_freq=3",
    "config.record_frequency=4",
)


def outcomes(folder: Path, *runs: tuple[Any, ...]) -> list[tuple[int, str]]:
    """Exit status and output of each run ``(arguments, signal, (file, word to wait for))``; signal 0: undisturbed."""
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, json.dumps([str(folder), runs])]
    alone = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # threads do not survive a fork
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [(code, told) for code, told in json.loads(done.stdout.splitlines()[-1])]


def contents(folder: Path) -> dict[str, bytes]:
    """The files below ``folder`` that must not depend on interruptions."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".bin", ".json", ".safetensors") and path.name != "describe.json"
    }


@pytest.fixture(scope="module")
def many(workplace):
    """The workplace with a collection of several segments."""
    words = " ".join(PASSAGES).split()
    chance = random.Random(0)
    lines = (f"d{number}\t{' '.join(chance.choices(words, k=12))}\n" for number in range(4200))
    (workplace / "data" / "many").mkdir(exist_ok=True)
    (workplace / "data" / "many" / "raw.tsv").write_text("".join(lines))
    return workplace


def test_an_interrupted_or_killed_indexing_continues_to_the_same_bytes(many):
    def index(name: str, number: int = 0, word: str = "00000") -> tuple[Any, ...]:
        return ((*INDEX, f"config.index_dir=cut/{name}"), number, (f"cut/.{name}.building/journal.json", word))

    search = ("retrieve", *INDEX[1:], "config.index_dir=cut/killed", "config.out_dir=cut/out")
    straight, early, stopped, stopped_again, killed, searched, killed_again = outcomes(
        many,
        index("straight"),
        index("stopped", signal.SIGINT, "segments"),  # before anything is stored
        index("stopped", signal.SIGINT),
        index("stopped"),
        index("killed", signal.SIGKILL),
        (search, 0, ("", "")),
        index("killed"),
    )
    assert straight[0] == 0, straight[1]
    for code, told in (early, stopped):
        assert code == 130, told
        assert "Traceback" not in told
    assert "the same command continues there" in stopped[1]
    assert killed[0] == -signal.SIGKILL
    assert searched[0] == 2
    assert "there is no index here; building one was interrupted" in searched[1]
    for name, (code, told) in (("stopped", stopped_again), ("killed", killed_again)):
        assert code == 0, told
        assert "continuing after" in told
        assert contents(many / "cut" / name) == contents(many / "cut" / "straight")
        assert not (many / "cut" / f".{name}.building").exists()


@pytest.mark.slow
def test_an_interrupted_or_killed_training_continues_to_the_same_weights(many):
    def train(name: str, number: int = 0) -> tuple[Any, ...]:
        return (
            (*TRAIN, f"config.checkpoint_dir=cut/{name}"),
            number,
            (f"cut/{name}/model_ckpt/last/describe.json", ""),
        )

    straight, stopped, stopped_again, killed, killed_again, finished = outcomes(
        many,
        train("whole"),
        train("halted", signal.SIGINT),
        train("halted"),
        train("shot", signal.SIGKILL),
        train("shot"),
        train("shot"),
    )
    assert straight[0] == 0, straight[1]
    assert stopped[0] == 130
    assert "the same command continues from" in stopped[1]
    assert "Traceback" not in stopped[1]
    assert killed[0] == -signal.SIGKILL
    for name, (code, told) in (("halted", stopped_again), ("shot", killed_again)):
        assert code == 0, told
        assert "continuing the training" in told
        assert contents(many / "cut" / name / "model") == contents(many / "cut" / "whole" / "model")
        log = (many / "cut" / name / "training_log.jsonl").read_text()
        steps = [json.loads(line)["step"] for line in log.splitlines()]
        assert steps == sorted(set(steps))
    assert "nothing to do" in finished[1]
