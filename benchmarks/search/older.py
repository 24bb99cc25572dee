"""An older version of this project, from a checkout of it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine
from benchmarks.search.vectors import Vectors

TREE = "SPLADE_BENCHMARK_BEFORE"  # the variable that names the checkout
SERVER = Path(__file__).with_name("older_server.py")


class Older(Engine):
    """A strategy of the checkout; ``settings`` are those of its `benchmarks.search.ours.Ours`."""

    package = "splade"

    def __init__(self, strategy: str, weights: str = "float32", **settings: Any) -> None:
        shown = [f"{key}={value}" for key, value in settings.items() if key != "single"]
        kept = [weights] * (weights != "float32")
        self.name = " ".join(["splade", *kept, strategy, *shown, *["query by query"] * bool(settings.get("single"))])
        self.index = f"before-{weights}"
        self.asked = {"strategy": strategy, "weights": weights, **settings}

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        self._start()
        self._ask(do="build", vectors=str(vectors.folder), inputs=str(inputs), folder=str(folder), n_threads=n_threads)
        self.close()

    def open(self, folder: Path) -> float:
        self._start()
        self.queries, self.docs = (folder / f"{name}-{os.getpid()}-{id(self)}" for name in ("queries", "docs"))
        return float(self._ask(do="open", folder=str(folder))["seconds"])

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        sp.save_npz(self.queries.with_suffix(".npz"), queries, compressed=False)
        said = self._ask(do="search", queries=str(self.queries) + ".npz", docs=str(self.docs) + ".npy", k=k)
        return np.load(self.docs.with_suffix(".npy")), np.array(said["seconds"])

    def close(self) -> None:
        self.process.communicate()  # its input ends
        for path in (self.queries.with_suffix(".npz"), self.docs.with_suffix(".npy")) if hasattr(self, "docs") else ():
            path.unlink(missing_ok=True)

    def _start(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.environ[TREE]}
        command = [sys.executable, str(SERVER), json.dumps(self.asked)]
        self.process = subprocess.Popen(
            command, env=environment, cwd=os.environ[TREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _ask(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise OSError(f"the version in {os.environ[TREE]} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def pairs() -> list[dict[str, Any]]:
    """Settings of the exact searches that are compared with those of the checkout."""
    ways: list[dict[str, Any]] = [{"strategy": name} for name in ("auto", "exhaustive", "block_max")]
    return [*ways, {"strategy": "auto", "single": True}, {"strategy": "auto", "weights": "uint8"}]
