"""Lucene in Java with whole-number impacts, by Anserini's jar; a process of its own builds and another one answers."""

import os
import subprocess
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine
from benchmarks.search.impacts import write_documents, write_queries
from benchmarks.search.vectors import Vectors
from splade.engines.places.libraries.lucene import jar

HEAP = "-Xmx8g"


class Lucene(Engine):
    """Nanoseconds are read inside the virtual machine, after warm-up: of the thread, or of the wall with several."""

    package = "pyserini"

    def __init__(self, threads: int | None = None) -> None:
        self.name = self.index = "Lucene"
        self.threads = threads

    def prepare(self, vectors: Vectors, inputs: Path) -> None:
        write_documents(inputs / "documents.bin", vectors)

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        subprocess.run([*_java(n_threads), "build", str(inputs / "documents.bin"), str(folder / "index")], check=True)

    def open(self, folder: Path) -> float:
        self.queries = folder / f"queries-{os.getpid()}.bin"
        n_threads = self.threads or 0  # 0: one, timed by its own clock
        command = [*_java(n_threads or 1), "serve", str(folder / "index"), str(self.queries), str(n_threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said, _, nanoseconds = self._line().partition(" ")
        if said != "ready":
            raise OSError(f"Lucene did not start: {said!r}")
        return int(nanoseconds) / 1e9

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        write_queries(self.queries, queries)
        assert self.process.stdin
        self.process.stdin.write(f"{k}\n")
        self.process.stdin.flush()
        docs, seconds = np.full((queries.shape[0], k), -1, np.int64), np.empty(queries.shape[0])
        for q in range(queries.shape[0]):
            nanoseconds, *found = (int(value) for value in self._line().split())
            seconds[q] = nanoseconds / 1e9
            docs[q, : len(found)] = found
        return docs, seconds

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.queries.unlink(missing_ok=True)

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def _java(n_threads: int) -> list[str]:
    source = Path(__file__).with_name("LuceneServer.java")
    return ["java", HEAP, f"-XX:ActiveProcessorCount={n_threads}", "-cp", jar(), str(source)]
