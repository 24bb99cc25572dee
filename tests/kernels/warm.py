"""The kernels compiled by two processes at once, each its share, where `make test` would have both compile them all.

    python -m tests.kernels.warm

Nothing is tested. Where the code is there already, this takes seconds.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, delete, merge
from splade.records import SparseBatch
from splade.search import Searcher
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import random_batch

SHARES = 2


def warm(share: int) -> None:
    """Make an index and search it: in float32 with every strategy, or in uint8, clustered, pruned, and changed."""
    batch = random_batch(0, 200, 30)
    if share == 0:
        index, strategies = InvertedIndex.from_csr(batch), tuple(STRATEGIES)
        index.vectors([0, 1])
    else:
        kept = {"prune_top_terms": 3, "prune_mass": 0.9, "prune_term_quantile": 0.1}
        index = InvertedIndex.from_csr(batch, weights="uint8", cluster=True, **kept)
        strategies = ("auto",)
        index.vectors([0, 1])
        with tempfile.TemporaryDirectory() as folder:
            change(Path(folder) / "index", batch)
    for strategy in strategies:
        list(Searcher(index, strategy).search(batch, 5))


def change(path: Path, batch: SparseBatch) -> None:
    """Build an index, append to it, delete from it, search and merge it."""
    for number, make in enumerate((lambda: IndexBuilder(path, batch.vocab_size), lambda: IndexAppender(path))):
        writer = make()
        writer.add(batch._replace(ids=tuple(f"{number}-{id}" for id in batch.ids)))
        writer.finish()
    delete(path, [f"0-{batch.ids[0]}"])
    list(Searcher(InvertedIndex.open(path)).search(batch, 5))
    merge(path)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        warm(int(sys.argv[1]))
    else:
        started = [subprocess.Popen([sys.executable, "-m", "tests.kernels.warm", str(n)]) for n in range(SHARES)]
        sys.exit(max(process.wait() for process in started))
