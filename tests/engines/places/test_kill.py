"""SIGKILL in the middle of an ingest, which nothing can catch: the same command gives the same result."""

import json
import signal
import subprocess
import sys

import pytest

from splade.engines.conformance import sample_for
from splade.engines.places.databases.qdrant import Qdrant
from tests.conftest import ROOT
from tests.data.writing import jsonl
from tests.engines.places.stores import EACH, STORES, needs
from tests.forked import run_well

KILLS = 10

# An event is a change of a file or folder by Python, or the begin or end of a call of the store. A child kills itself
# at a chosen one; the next child goes on with what it finds, until one comes to the end, whose result is looked at.
KILLED = """
import importlib, json, os, random, shutil, signal, sys, traceback
from pathlib import Path
from splade.cli import main
from splade.engines import OWN
from splade.engines.places.kept import Kept
from splade.engines.protocol import Queries
from splade.workflow.given_vectors import given_queries

work, engine = Path(sys.argv[1]), sys.argv[2]
os.chdir(work)
for package in sys.argv[3:]:
    importlib.import_module(package)  # for all children; no client is made here, so that forks have no threads
Kept.noted = 25
STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def die_at(step, told):
    taken = 0

    def count():
        nonlocal taken
        taken += 1
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call):
        def called(*arguments):
            count()
            answer = call(*arguments)
            count()
            return answer
        return called

    make = OWN[engine].store
    def store(self, folder):
        made = make(self, folder)
        for name in ("create", "put", "finish", "drop"):
            setattr(made, name, counted(getattr(made, name)))
        return made
    OWN[engine].store = store
    sys.addaudithook(
        lambda event, about: count() if event in STEPS or (event == "open" and about[2] & WRITING) else None
    )
    return lambda: os.write(told, str(taken).encode())

def in_child(work):
    "The status that a child ends with, and what it told."
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(told)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(told)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(heard) as stream:
        return status, stream.read()

def index(folder, step=0):
    def command(told):
        tell = die_at(step, told)
        sys.argv = ["splade"]
        try:
            main(["index", f"engine={engine}", "engine.batch=10", "data.VECTORS_PATH=docs.jsonl",
                  f"config.index_dir={folder}"])
        except SystemExit as ended:
            assert not ended.code, ended.code
        tell()
    status, steps = in_child(command)
    return status, int(steps or 0)

def look(folder):
    def looked(told):
        made = OWN[engine](folder)
        opened = made.open()
        found = opened.search(given_queries("queries.jsonl", opened), 40)
        rankings = [[r.query_id, list(r.doc_ids), r.scores.tolist()] for r in found]
        counted = made._store.count(opened.state.place)
        os.write(told, json.dumps([opened.n_docs, counted, len(made.places()), rankings]).encode())
    status, told = in_child(looked)
    assert status == 0
    return json.loads(told)

draw = random.Random(15)
status, steps = index("straight")
assert status == 0
expected, killed, looked, at = look("straight"), 0, 0, []
while killed < int(os.environ["KILLS"]) or Path("killed").exists():
    step = draw.randint(1, steps) if killed < int(os.environ["KILLS"]) else 0
    status, _ = index("killed", step)
    if status == signal.SIGKILL:
        killed += 1
        at.append(step)
        continue
    assert status == 0, status
    assert look("killed") == expected, at
    looked += 1
    shutil.rmtree("killed")
print(json.dumps([steps, killed, looked, expected[:3]]))
"""


def collection(folder, n_docs):
    """Vectors of documents, every ninth of them empty, with ties; and of queries."""
    terms = [f"t{number}" for number in range(30)]
    docs = [{terms[(i * j) % 30]: 0.5 + (i * j) % 7 for j in range(1, 6)} if i % 9 else {} for i in range(n_docs)]
    jsonl(folder / "docs.jsonl", ({"id": f"d{i}", "vector": vector} for i, vector in enumerate(docs)))
    asked = [{terms[(3 * i + j) % 30]: 1.0 + j for j in range(4)} for i in range(8)]
    jsonl(folder / "queries.jsonl", ({"id": f"q{i}", "vector": vector} for i, vector in enumerate(asked)))


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_an_ingest_killed_at_ten_random_events_ends_as_one_that_was_not(name, tmp_path):
    needs(*STORES[name].packages)
    collection(tmp_path, 200)
    packages = [package for package in STORES[name].packages if package != "qdrant_edge"]
    (ended,) = run_well("-c", KILLED, tmp_path, name, *packages, KILLS=str(KILLS))
    steps, killed, looked, (n_docs, counted, places) = json.loads(ended.out.splitlines()[-1])
    assert killed == KILLS
    assert steps > 60
    assert looked >= 1
    assert (n_docs, counted, places) == (200, 200 - len(range(0, 200, 9)), 1)


INGEST = """
import os, signal, sys
from splade.engines.conformance import sample_for
from splade.engines.places.databases.qdrant import Qdrant
Qdrant.noted = 4

def kill(first):
    if first == 12:
        os.kill(os.getpid(), signal.SIGKILL)

Qdrant(sys.argv[1]).build(sample_for("sparse").as_documents(read=kill))
"""


def test_an_ingest_that_was_killed_goes_on_and_ends_as_one_that_was_not(tmp_path):
    needs("qdrant_edge")
    child = subprocess.run([sys.executable, "-c", INGEST, tmp_path / "killed"], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL
    sample, read = sample_for("sparse"), []
    opened = Qdrant(tmp_path / "killed").build(sample.as_documents(read=read.append))
    assert read == [12, 16, 20]
    straight = Qdrant(tmp_path / "straight").build(sample.as_documents())
    rankings = [
        [(ranking.doc_ids, ranking.scores.tolist()) for ranking in each.search(sample.as_queries(), 24)]
        for each in (opened, straight)
    ]
    assert rankings[0] == rankings[1]
    assert Qdrant(tmp_path / "killed").places() == [opened.state.place]
