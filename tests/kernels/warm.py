"""The kernels compiled by two processes at once, each its share, where `make test` would have both compile them all.

    python -m tests.kernels.warm

Nothing is tested. Where the code is there already, this takes seconds.
"""

import subprocess
import sys

from splade.indexing import InvertedIndex
from splade.search import Searcher
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import random_batch

SHARES = 2


def warm(share: int) -> None:
    """Make an index and search it: in float32 with every strategy, or in uint8, clustered and pruned."""
    batch = random_batch(0, 200, 30)
    if share == 0:
        index, strategies = InvertedIndex.from_csr(batch), tuple(STRATEGIES)
    else:
        index = InvertedIndex.from_csr(batch, weights="uint8", cluster=True, prune_top_terms=3, prune_mass=0.9)
        strategies = ("auto",)
    for strategy in strategies:
        list(Searcher(index, strategy).search(batch, 5))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        warm(int(sys.argv[1]))
    else:
        started = [subprocess.Popen([sys.executable, "-m", "tests.kernels.warm", str(n)]) for n in range(SHARES)]
        sys.exit(max(process.wait() for process in started))
