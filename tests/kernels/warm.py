"""The kernels and the tests compiled by two processes at once, where `make test` would have both compile them all.

    python -m tests.kernels.warm

Nothing is tested. Where the code is there already, this takes seconds.
"""

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path

from _pytest.assertion.rewrite import PYC_TAIL, _read_pyc, _rewrite_test, _write_pyc, get_cache_dir

from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.kernels.sparse import slice_rows
from splade.records import SparseBatch
from splade.search import Searcher
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import random_batch

SHARES = 2
ROOT = Path(__file__).parents[2]


def warm(share: int) -> None:
    """Make indexes and search them, which compiles what they need: see `floats` and `bytes_and_pruned`."""
    batch = random_batch(0, 200, 30)
    (floats, bytes_and_pruned)[share](batch)


def floats(batch: SparseBatch) -> None:
    """An index in float32, searched with every strategy, and one on the disk that changes.

    Both are in one share: the kernels that search them are the same, and another process would compile them again.
    """
    index = InvertedIndex.from_csr(batch)
    index.vectors([0, 1])
    index.explain(batch._replace(rows=slice_rows(batch.rows, 0, 1)), 0)
    for strategy in STRATEGIES:
        list(Searcher(index, strategy).search(batch, 5))
    with tempfile.TemporaryDirectory() as folder:
        change(Path(folder) / "index", batch)


def bytes_and_pruned(batch: SparseBatch) -> None:
    """An index in uint8, clustered and pruned, and one that is made to fit."""
    kept = {"prune_top_terms": 3, "prune_mass": 0.9, "prune_term_quantile": 0.1}
    index = InvertedIndex.from_csr(batch, weights="uint8", cluster=True, **kept)
    index.vectors([0, 1])
    index.explain(batch._replace(rows=slice_rows(batch.rows, 0, 1)), 0)
    list(Searcher(index, "auto").search(batch, 5))
    InvertedIndex.from_csr(batch, weights="uint8", max_bytes=index.n_bytes)


def change(path: Path, batch: SparseBatch) -> None:
    """Build an index, append to it, delete from it, search and merge it."""
    for number, make in enumerate((lambda: IndexBuilder(path, batch.vocab_size), lambda: IndexAppender(path))):
        writer = make()
        writer.add(batch._replace(ids=tuple(f"{number}-{id}" for id in batch.ids)))
        writer.finish()
    delete(path, [f"0-{batch.ids[0]}"])
    list(Searcher(InvertedIndex.open(path)).search(batch, 5))
    merge(path)


def compile_files(share: int) -> None:
    """Write what Python and pytest keep of the modules of this share; pytest has its own form of tests."""
    for file in sorted(file for folder in ("splade", "tests") for file in (ROOT / folder).rglob("*.py"))[share::SHARES]:
        if file.name == "conftest.py" or file.name.startswith("test_"):
            rewrite(file)
        else:
            compileall.compile_file(file, quiet=1)  # unless it is there


def rewrite(file: Path) -> None:
    """Write pytest's form of a file, in which failed assertions tell their values, unless it is there."""
    folder = get_cache_dir(file)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / (file.name.removesuffix(".py") + PYC_TAIL)
    if _read_pyc(file, kept) is None:
        version, code = _rewrite_test(file, None)  # type: ignore[arg-type]
        _write_pyc(None, code, version, kept)  # type: ignore[arg-type]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_files(int(sys.argv[1]))
        warm(int(sys.argv[1]))
    else:
        started = [subprocess.Popen([sys.executable, "-m", "tests.kernels.warm", str(n)]) for n in range(SHARES)]
        sys.exit(max(process.wait() for process in started))
