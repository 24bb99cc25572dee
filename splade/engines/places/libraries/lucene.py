"""Lucene in Java, by Anserini's jar: whole-number impacts; one process indexes, and one answers queries over pipes."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.kept import Kept
from splade.engines.places.libraries.batches import BatchStore, Parts, counted, scratch
from splade.engines.places.libraries.impacts import (
    DOCUMENT,
    QUERY,
    Limits,
    Rounding,
    factor_setting,
    rint,
    said,
    whole_setting,
)
from splade.engines.places.store import Found, Searching
from splade.files import InputError
from splade.kernels.sparse import keep_entries
from splade.records import SparseBatch, SparseRows

SERVER = Path(__file__).with_name("LuceneServer.java")
FACTOR, LARGEST_IMPACT = 100.0, 65_535  # an impact is a term that often in the document that Anserini makes
BUFFER = 512  # MB that Lucene holds before it writes a segment
INSTALL = "pip install --no-deps pyserini==0.25.0, or name the jar: engine.jar=PATH, or ANSERINI_JAR in the environment"


class Lucene(Kept):
    """Exact on its impacts, by Lucene's dynamic pruning.

    Impacts are weights times ``quantization_factor_document``, rounded; without it, whole numbers stay as they are and
    others are taken times 100. Query weights are boosts, which may be fractions: they are rounded only with
    ``quantization_factor_query``, as Anserini's own topics are. ``jar`` is Anserini's, without it that of the
    environment's ANSERINI_JAR, or of pyserini. ``threads`` index, and answer queries that are asked together; ``heap``
    is Java's, as ``8g``.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        jar: str | Path | None = None,
        java: str = "java",
        heap: str | None = None,
        threads: int = 1,
        quantization_factor_document: float | None = None,
        quantization_factor_query: float | None = None,
    ) -> None:
        super().__init__(folder, "lucene")
        self.java = Java(jar, java, heap, whole_setting("threads", threads))
        self.document_factor = factor_setting(DOCUMENT, quantization_factor_document)
        self.query_factor = factor_setting(QUERY, quantization_factor_query)

    def store(self, folder: Path) -> "LuceneStore":
        """Return the store of indexes in ``folder``."""
        return LuceneStore(folder, self.java, self.document_factor, self.query_factor)


class Java:
    """The virtual machine and the jar."""

    def __init__(self, jar: str | Path | None, java: str, heap: str | None, threads: int) -> None:
        self.jar, self.java, self.heap, self.threads = jar, java, heap, threads

    def command(self, *arguments: str) -> list[str]:
        """A command line; InputError where there is no Java or no jar."""
        if shutil.which(self.java) is None:
            raise InputError(f"engine.java={self.java}: no such program. engine=lucene needs a JDK, 17 or later")
        path = jar() if self.jar is None else str(self.jar)
        if not Path(path).is_file():
            raise InputError(f"engine=lucene: there is no jar at {path}. Get Anserini's: {INSTALL}")
        heap = [] if self.heap is None else [f"-Xmx{self.heap}"]
        return [self.java, *heap, "-cp", path, *arguments]

    @property
    def version(self) -> str:
        """The name of the jar."""
        return Path(jar() if self.jar is None else str(self.jar)).name


class LuceneStore(BatchStore):
    """An index is a folder of Lucene, made by Anserini's IndexCollection of JSON lines."""

    name: ClassVar[str] = "lucene"

    def __init__(self, folder: Path, java: Java, factor: float | None, query_factor: float | None) -> None:
        super().__init__(folder)
        self.java, self.query_factor = java, query_factor
        self.limits = Limits(self.name, LARGEST_IMPACT, factor)

    def identity(self) -> dict[str, Any]:
        """The settings of the build."""
        return {DOCUMENT: self.limits.given}

    def library(self) -> Any:
        """Return a command line of Java; InputError without it, or without the jar."""
        return self.java.command()

    def refuse(self, batch: SparseBatch) -> None:
        """InputError where the factor makes impacts that are too large."""
        self.limits.refuse(batch)

    def make(self, parts: Parts, folder: Path) -> dict[str, Any]:
        """Write the documents as JSON lines, a file for each part, and run IndexCollection on them."""
        rounding = Rounding(self.limits.factor(parts, FACTOR))
        with scratch(folder) as inputs:
            for number, part in enumerate(parts):
                with (Path(inputs) / f"{number:06d}.jsonl").open("w", encoding="utf-8") as stream:
                    stream.writelines(_lines(part.numbers, rounding.impacts(part.rows)))
            if rounding.n_postings > rounding.n_dropped:
                self._index(Path(inputs), folder)
        return rounding.facts()

    def _index(self, inputs: Path, folder: Path) -> None:
        command = self.java.command(
            "io.anserini.index.IndexCollection", "-collection", "JsonVectorCollection", "-impact", "-pretokenized",
            "-input", str(inputs), "-index", str(folder / "lucene"), "-generator", "DefaultLuceneDocumentGenerator",
            "-threads", str(self.java.threads), "-memoryBuffer", str(BUFFER), "-optimize",
        )  # fmt: skip
        with (folder / "build.log").open("w+", encoding="utf-8") as log:
            code = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False).returncode
            if code:
                raise InputError(f"engine=lucene: IndexCollection ended with {code}: {_tail(log)}")

    def opened(self, folder: Path, facts: dict[str, Any]) -> Searching:
        """Start a process that answers."""
        return LuceneSearching(self, folder, facts)


class LuceneSearching:
    """A process with the index, and the pipes to it; it ends with this object."""

    most: int | None = None
    concurrent = False  # one conversation at a time; queries that are asked together share its threads

    def __init__(self, store: LuceneStore, folder: Path, facts: dict[str, Any]) -> None:
        self._store, self._facts = store, facts
        self._talking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        if facts["n_rounded"] > facts["n_dropped"]:
            command = store.java.command(str(SERVER), str(folder / "lucene"), str(store.java.threads))
            self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - ends below
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
            weakref.finalize(self, _end, self._process, self._errors)
            self._numbers(1)  # of documents: it is ready

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """Ask for all of ``rows`` together."""
        factor = self._store.query_factor
        if factor is not None:
            whole = rint(rows.weights, factor)
            rows = keep_entries(rows._replace(weights=whole.astype(np.float32)), whole > 0)
        n = len(rows.offsets) - 1
        if self._process is None:
            return [Found(np.empty(0, np.int64), np.empty(0, np.float32))] * n
        asked = np.concatenate([np.array([n, limit], np.uint32), counted(rows.offsets, rows.columns, rows.weights)])
        with self._talking:
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(asked.astype(">u4").tobytes())
                self._process.stdin.flush()
            except OSError as error:
                raise self._ended() from error
            return [self._found(self._facts["factor"] * (factor or 1.0)) for _ in range(n)]

    def _found(self, factor: float) -> Found:
        n = int(self._numbers(1)[0])
        answer = self._numbers(2 * n)
        scores = (answer[n:].view(np.float32) / factor).astype(np.float32)
        return Found(answer[:n].astype(np.int64)[scores > 0], scores[scores > 0])

    def _numbers(self, n: int) -> NDArray[np.uint32]:
        assert self._process is not None
        assert self._process.stdout is not None
        read = self._process.stdout.read(4 * n)
        if len(read) < 4 * n:
            raise self._ended()
        return np.frombuffer(read, ">u4").astype(np.uint32)

    def _ended(self) -> InputError:
        return InputError(f"engine=lucene: Java ended: {_tail(self._errors)}. It needs a JDK, 17 or later")

    def facts(self) -> dict[str, Any]:
        """Say what rounding loses."""
        factor = self._store.query_factor
        queries = "are not rounded" if factor is None else f"are taken times {factor:g} and rounded"
        return {
            "strategy": "lucene",
            "version": self._store.java.version,
            "quantization": f"{said(self._facts)}; query weights {queries}",
            "weight_error": self._facts["weight_error"],
            "bytes": self._facts["bytes"],
        }


def jar(environment: Mapping[str, str] = os.environ) -> str:
    """The path of Anserini's jar: the one that ANSERINI_JAR names, or else the one that pyserini brings."""
    if environment.get("ANSERINI_JAR"):
        return environment["ANSERINI_JAR"]
    found = find_spec("pyserini")
    if found is not None and found.submodule_search_locations:
        folder = Path(found.submodule_search_locations[0]) / "resources" / "jars"
        for path in folder.glob("anserini-*-fatjar.jar"):
            return str(path)
    raise InputError(f"engine=lucene needs Anserini's jar: {INSTALL}")


def _lines(numbers: NDArray[np.int64], rows: SparseRows) -> Any:
    """JSON lines of documents with impacts; their terms are called by their numbers, which have no space in them."""
    for row, number in enumerate(numbers.tolist()):
        own = slice(*rows.offsets[row : row + 2])
        terms, impacts = rows.columns[own].tolist(), rows.weights[own].astype(np.int64).tolist()
        if terms:
            vector = {f"t{term}": impact for term, impact in zip(terms, impacts, strict=True)}
            yield json.dumps({"id": str(number), "contents": "", "vector": vector}) + "\n"


def _tail(log: IO[str]) -> str:
    """The last line of a log that says something of an error, or else the last one."""
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    telling = [line for line in lines if "rror" in line or "xception" in line]
    return (telling or lines or ["without a word"])[-1]


def _end(process: "subprocess.Popen[bytes]", errors: IO[str]) -> None:
    """Have the process end by the end of its input, and wait for it."""
    if process.stdin is not None and process.stdout is not None:
        with process.stdin:
            pass
        process.stdout.close()
    process.wait()
    errors.close()
