"""The kernels compiled by two processes at once, each its share, where `make test` would have both compile them all.

    python -m tests.kernels.warm

Nothing is tested. Code is kept for every way of keeping weights and every strategy; where it is there already, this
takes seconds.
"""

import subprocess
import sys

from splade.indexing import InvertedIndex
from splade.search import Searcher
from splade.search.searcher import STRATEGIES
from tests.kernels.cases import random_batch

SHARES = (("float32",), ("uint8", "float16"))


def warm(share: int) -> None:
    """Build and search an index of each of these ways of keeping weights.

    The first share has all strategies, and clusters and prunes.
    """
    batch = random_batch(0, 200, 30)
    for weights in SHARES[share]:
        index = InvertedIndex.from_csr(batch, weights=weights, cluster=not share, prune_top_terms=None if share else 3)
        for strategy in STRATEGIES if not share else ("auto",):
            list(Searcher(index, strategy).search(batch, 5))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        warm(int(sys.argv[1]))
    else:
        started = [subprocess.Popen([sys.executable, "-m", "tests.kernels.warm", str(n)]) for n in range(len(SHARES))]
        sys.exit(max(process.wait() for process in started))
