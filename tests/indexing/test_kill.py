"""SIGKILL, which nothing can catch, at any moment of building, appending and merging."""

import subprocess
import sys

import pytest

from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.indexing.inverted_index import FOLDER
from tests.conftest import ROOT
from tests.kernels.cases import random_batch

V, BATCH, BATCHES = 60, 1000, 16

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from tests.indexing import test_kill

work = getattr(test_kill, sys.argv[1])
path, random = Path(sys.argv[2]), random.Random(sys.argv[1])

def child():
    pid = os.fork()
    if not pid:
        work(path)
        os._exit(0)
    return pid

killed = 0
while True:
    pid = child()
    if killed < 12:
        time.sleep(random.uniform(0.01, 0.35))
        os.kill(pid, signal.SIGKILL)
    if os.waitpid(pid, 0)[1] == 0:
        break
    killed += 1
    test_kill.look(path)
print(killed)
"""


def build(path):
    builder = IndexBuilder(path / "index", V, memory_mb=1, resume=True, n_threads=1, cluster=True)
    for number in range(builder.n_docs // BATCH, BATCHES):
        builder.add(random_batch(number, BATCH, V, first=BATCH * number))
        builder.checkpoint()
    builder.finish()


def append(path):
    index = InvertedIndex.open(path / "index")
    if index.n_docs == BATCH * (BATCHES + 4):
        return
    appender = IndexAppender(path / "index", memory_mb=1, resume=True, n_threads=1)
    for number in range(BATCHES + appender.n_docs // BATCH, BATCHES + 4):
        appender.add(random_batch(number, BATCH, V, first=BATCH * number))
        appender.checkpoint()
    appender.finish()


def shrink(path):
    delete(path / "index", [f"d{doc}" for doc in range(0, BATCH * BATCHES, 7)], ignore_missing=True)
    merge(path / "index", n_threads=1)


def look(path):
    """What a reader finds is whole: nothing yet, or a state before or after a change."""
    if (path / "index" / FOLDER).exists():
        InvertedIndex.open(path / "index", verify=True)


def content(path):
    return {file.name: file.read_bytes() for file in sorted((path / "index" / FOLDER).iterdir())}


@pytest.mark.slow
def test_whatever_is_killed_can_be_run_again_to_the_same_bytes(tmp_path):
    for work in (build, append, shrink):
        command = [sys.executable, "-W", "ignore", "-c", KILLED, work.__name__, str(tmp_path / "killed")]
        (tmp_path / "killed").mkdir(exist_ok=True)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= (10 if work is build else 1)
        work(tmp_path / "straight")
    assert content(tmp_path / "killed") == content(tmp_path / "straight")
