"""What a query reads beside what a core can read: ``python -m benchmarks.search.roofline INDEX QUERIES``.

Bytes are counted, not measured: `exhaustive` reads every posting of the query's terms once; `auto` reads the
bounds of all blocks, and of each visited block a skip entry and the postings. Divided by the bandwidth of one core,
measured here by adding up an array far larger than the caches, they give the time below which no kernel over
this layout gets, unless caches hold what was read before.
"""

import argparse
import time
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from splade import InvertedIndex, Searcher
from splade.kernels.blocks import Blocks
from splade.records import SparseRows

BYTES, ROUNDS = 1 << 28, 7
LINE = 64  # a cache line: what the least read from memory brings


@numba.njit(nogil=True)
def _add_up(array):  # type: ignore[no-untyped-def]
    total = np.uint64(0)
    for i in range(array.size):
        total += array[i]
    return total


def bandwidth() -> float:
    """Bytes that one core reads in a second, in order; the best of some rounds."""
    array = np.ones(BYTES // 8, np.uint64)
    best = np.inf
    for _ in range(ROUNDS + 1):
        start = time.thread_time()
        _add_up(array)
        best = min(best, time.thread_time() - start)
    return BYTES / best


def bounds_bytes(blocks: Blocks, terms: NDArray[np.integer]) -> int:
    """Bytes of the bounds of these terms."""
    in_head = blocks.head_rows[terms] >= 0
    tail = int((blocks.tail_offsets[terms + 1] - blocks.tail_offsets[terms])[~in_head].sum())
    return int(in_head.sum()) * blocks.head.shape[1] + tail * (blocks.tail_blocks.itemsize + 1)


def query_bytes(index: InvertedIndex, queries: SparseRows, k: int) -> tuple[float, float, float, float]:
    """Mean bytes per query: all postings; bounds; postings and skip entries that `auto` reads; these in whole lines."""
    blocks = index.blocks
    each = 2 + blocks.impacts.itemsize
    counts = Searcher(index).count(queries, k)
    lengths = np.diff(queries.offsets)
    all_postings = np.diff(blocks.offsets)[queries.columns].sum() * each / len(lengths)
    bounds = np.mean([bounds_bytes(blocks, row) for row in np.split(queries.columns, queries.offsets[1:-1])])
    visited = (counts.postings * each + counts.blocks * lengths * 4).mean()
    lines = visited + (counts.blocks * lengths * 3 * LINE / 2).mean()  # half a line is lost at each of three places
    return float(all_postings), float(bounds), float(visited), float(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("queries", type=Path, help="an .npz of indptr, indices and data")
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100, 1000])
    options = parser.parse_args()
    index = InvertedIndex.open(options.index, verify=False)
    with np.load(options.queries) as arrays:
        queries = SparseRows(
            arrays["indptr"].astype(np.int64), arrays["indices"].astype(np.int32), arrays["data"].astype(np.float32)
        )
    speed = bandwidth()
    print(f"one core reads {speed / 1e9:.1f} GB/s")
    for k in options.k:
        everything, bounds, visited, lines = query_bytes(index, queries, k)
        floors = [f"{1e3 * size / speed:.3f}" for size in (everything, bounds + visited, bounds + lines)]
        print(
            f"k={k}: exhaustive {everything / 1e6:.2f} MB, {floors[0]} ms; auto {bounds / 1e3:.0f} kB of bounds and "
            f"{visited / 1e3:.0f} kB of blocks, {floors[1]} ms; counted in whole cache lines {floors[2]} ms"
        )


if __name__ == "__main__":
    main()
