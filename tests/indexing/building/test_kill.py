"""SIGKILL, which nothing can catch, at any step of building, appending, deleting and merging."""

from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.indexing.index.inverted_index import FOLDER
from tests.forked import run_well
from tests.kernels.cases import random_batch

V, BATCH, BATCHES = 60, 40, 6

# A step is a change of a file or a folder. A child of this program kills itself in place of a chosen one, or in the
# middle of it where it is a stretch of an array; the next child goes on with what it finds.
KILLED = """
import os, random, signal, sys, traceback
from pathlib import Path
from splade.indexing.format.storage import ArrayWriter
from tests.indexing.building import test_kill

STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
folder = Path(sys.argv[1])
whole_write = ArrayWriter.write

def die_at(step, told):
    taken = 0

    def count(before_death=lambda: None):
        nonlocal taken
        taken += 1
        if taken == step:
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)

    def half(writer, array):
        def write():
            whole_write(writer, array[: len(array) // 2])
            writer.flush()
        count(write)
        whole_write(writer, array)

    ArrayWriter.write = half
    sys.addaudithook(
        lambda event, about: count() if event in STEPS or (event == "open" and about[2] & WRITING) else None
    )
    return lambda: os.write(told, str(taken).encode())

def run(work, path, step=0):
    "The status that a child ends with, and the steps that it took where it came to the end."
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            tell = die_at(step, told)
            work(path)
            tell()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(told)
    status = os.waitpid(child, 0)[1]
    steps = int(os.read(heard, 20) or 0)
    os.close(heard)
    return status, steps

draw = random.Random(20)
test_kill.life(folder / "warm")  # machine code is there from now on, for all children
for work in (test_kill.build, test_kill.append, test_kill.shrink):
    status, steps = run(work, folder / "straight")
    assert status == 0
    killed = 0
    while killed < 8:
        status, _ = run(work, folder / "killed", draw.randint(1, steps // 3))
        if status != signal.SIGKILL:
            assert status == 0
            break
        killed += 1
        test_kill.look(folder / "killed")
    assert run(work, folder / "killed")[0] == 0
    print(work.__name__, steps, killed)
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


def life(path):
    build(path)
    append(path)
    shrink(path)


def look(path):
    """What a reader finds is whole: nothing yet, or a state before or after a change."""
    if (path / "index" / FOLDER).exists():
        InvertedIndex.open(path / "index", verify=True)


def content(path):
    return {file.name: file.read_bytes() for file in sorted((path / "index" / FOLDER).iterdir())}


def test_whatever_is_killed_can_be_run_again_to_the_same_bytes(tmp_path):
    for name in ("warm", "straight", "killed"):
        (tmp_path / name).mkdir()
    (ended,) = run_well("-c", KILLED, tmp_path)
    told = [line.split() for line in ended.out.splitlines()]
    assert [work for work, _, _ in told] == ["build", "append", "shrink"]
    assert all(int(steps) > 30 and int(killed) >= 5 for _, steps, killed in told), told
    assert content(tmp_path / "killed") == content(tmp_path / "straight") == content(tmp_path / "warm")
    assert [entry.name for entry in (tmp_path / "killed").iterdir()] == ["index"]
    assert [entry.name for entry in (tmp_path / "killed" / "index").iterdir()] == [FOLDER]
