"""Indexes are built in a child process each; what building took is kept beside them."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.search.contestants import by_index
from benchmarks.search.engine import Engine
from benchmarks.search.vectors import Vectors
from splade import __version__
from splade.files import read_json, write_json

FIGURES = "built.json"


class LeftOutError(Exception):
    """An engine that cannot be built or opened here, and why."""


def built(engine: Engine, vectors: Vectors, root: Path, n_threads: int) -> tuple[Path, dict[str, Any]]:
    """Where the engine's index is and what building it took, on whatever day that was; built unless it is there."""
    folder = root / engine.index
    if not (folder / FIGURES).exists():
        part = root / f"{engine.index}.part"
        shutil.rmtree(part, ignore_errors=True)
        for name in ("index", "inputs"):
            (part / name).mkdir(parents=True)
        _child("prepare", engine.index, vectors.folder, part, n_threads)
        figures = _child("build", engine.index, vectors.folder, part, n_threads)
        files = [file for file in (part / "index").rglob("*") if file.is_file()]
        figures |= {"engine": engine.index, "version": installed(engine), "threads": n_threads}
        figures |= {"bytes": sum(file.stat().st_size for file in files), "postings": vectors.n_postings}
        write_json(part / "index" / FIGURES, figures)
        shutil.rmtree(folder, ignore_errors=True)
        (part / "index").rename(folder)
        shutil.rmtree(part)
    return folder, read_json(folder / FIGURES)


def installed(engine: Engine) -> str:
    """The version of the engine's package."""
    if engine.package == "splade":
        return __version__
    try:
        return version(engine.package)
    except PackageNotFoundError:
        return "unknown"


def _child(step: str, index: str, vectors: Path, part: Path, n_threads: int) -> dict[str, Any]:
    """Run one step in a process of its own; LeftOutError with its last words where it fails."""
    command = [sys.executable, "-m", "benchmarks.search.building", step, index, str(vectors), str(part), str(n_threads)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), str(n_threads))
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, check=False, text=True)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise LeftOutError(words[-1])
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    """The child: says the seconds of the wall and of the processor, and the most memory, as JSON in its last line."""
    step, index, vectors_folder, part, n_threads = sys.argv[1:]
    vectors = Vectors(Path(vectors_folder))
    engine = by_index(index, vectors.n_docs)
    inputs, folder = Path(part) / "inputs", Path(part) / "index"
    wall, processor = time.perf_counter(), _processor()
    if step == "prepare":
        engine.prepare(vectors, inputs)
    else:
        engine.build(vectors, inputs, folder, int(n_threads))
    figures = {"wall_s": time.perf_counter() - wall, "processor_s": _processor() - processor, "peak_mb": _peak_mb()}
    print(f"\n{json.dumps(figures)}")


def _processor() -> float:
    """Seconds of all threads of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """Most resident memory of this process or of a child, in MB.

    Linux's own high-water mark, since what `getrusage` says of a process begins with its parent's size.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


if __name__ == "__main__":
    main()
