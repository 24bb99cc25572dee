"""The blocked layout of an index: derived from its postings, stored beside them, found again."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.indexing.clustering import cluster_order
from splade.indexing.storage import ArrayWriter, map_array
from splade.indexing.weights import Codec
from splade.kernels.blocks import SHORT, STRIDE, Blocks
from splade.kernels.compiled import read_only
from splade.kernels.layout import fill, is_head, measure, sort_by_position
from splade.records import SparseRows

CHUNK = 8 << 20  # postings laid out at a time by a thread
PREFIX = "block_"  # of the names of the stored arrays
CLUSTERED = 8192  # documents from which on neighbours are made alike, unless told otherwise
NAMES = (
    "order", "local", "impacts", "runs", "skips", "head_rows", "head", "tail_offsets", "tail_blocks", "tail_bounds",
    "steps", "scale", "shape",
)  # fmt: skip

Write = Callable[[str, NDArray[Any]], None]


class Shape(NamedTuple):
    """How many positions make a range and a block, as powers of two; at most 15, a block at least 6 bits."""

    range_bits: int = 15
    block_bits: int = 7


class Layout(NamedTuple):
    """What is chosen when an index is built.

    ``weights`` is how weights are kept: "float32", "float16", or "uint8" (`splade.indexing.weights`).
    ``cluster`` makes similar documents neighbours, which is what lets blocks be left out; None means
    from 8192 documents on. ``seed`` draws the clusters' centres; the same seed gives the same bytes,
    whatever ``n_threads``, of which None means as many as there are processors, at most 8.
    """

    weights: str = "float32"
    cluster: bool | None = None
    seed: int = 0
    n_threads: int | None = None
    shape: Shape = Shape()

    @property
    def threads(self) -> int:
        """Threads to build with."""
        return self.n_threads or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 8)


class Part(NamedTuple):
    """The layout of some terms, numbered from 0."""

    local: NDArray[np.uint16]
    impacts: NDArray[Any]
    runs: NDArray[np.uint32]
    skips: NDArray[np.uint16]
    in_head: NDArray[np.bool_]
    head: NDArray[np.uint8]
    reach: NDArray[np.int64]
    tail_blocks: NDArray[Any]
    tail_bounds: NDArray[np.uint8]
    steps: NDArray[np.float32]


def block_arrays(postings: SparseRows, n_docs: int, codec: Codec, layout: Layout) -> dict[str, NDArray[Any]]:
    """The arrays of the layout under their stored names, in memory."""
    pieces: dict[str, list[NDArray[Any]]] = {}
    order = choose_order(postings, n_docs, layout)
    lay_out(postings, order, codec, layout.shape, layout.threads, lambda n, a: pieces.setdefault(n, []).append(a))
    return {PREFIX + name: read_only(np.concatenate(parts)) for name, parts in pieces.items()}


def write_blocks(
    folder: Path, entries: Mapping[str, dict[str, Any]], n_docs: int, codec: Codec, layout: Layout
) -> dict[str, dict[str, Any]]:
    """Derive the layout from the postings that stand in ``folder`` and write it there; returns header entries."""
    postings = SparseRows(*(map_array(folder, name, entries[name]) for name in ("offsets", "columns", "weights")))
    order = choose_order(postings, n_docs, layout)
    writers: dict[str, ArrayWriter] = {}
    with ExitStack() as stack:

        def write(name: str, array: NDArray[Any]) -> None:
            if name not in writers:
                dtype = array.dtype.newbyteorder("<")
                writers[name] = stack.enter_context(ArrayWriter(folder, PREFIX + name, dtype))
            writers[name].write(array)

        lay_out(postings, order, codec, layout.shape, layout.threads, write)
    return {PREFIX + name: writer.entry for name, writer in writers.items()}


def choose_order(postings: SparseRows, n_docs: int, layout: Layout) -> NDArray[np.uint32]:
    """The document at each position."""
    wanted = n_docs >= CLUSTERED if layout.cluster is None else layout.cluster
    if not wanted or n_docs < 2:
        return np.arange(n_docs, dtype=np.uint32)
    return cluster_order(postings, n_docs, layout.seed, layout.threads)


def has_blocks(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the layout was stored."""
    return all(PREFIX + name in arrays for name in NAMES)


def blocks_from(arrays: Mapping[str, NDArray[Any]]) -> Blocks:
    """The layout whose arrays have these names in storage, ready for the kernels."""
    found: dict[str, Any] = {name: read_only(arrays[PREFIX + name]) for name in NAMES}
    range_bits, block_bits = (int(value) for value in found.pop("shape"))
    n_docs = len(found["order"])
    n_blocks = -(-n_docs // (1 << block_bits))
    return Blocks(
        **(found | {"head": found["head"].reshape(-1, stride(n_blocks)), "scale": np.float32(found["scale"][0])}),
        offsets=read_only(arrays["offsets"]),
        n_docs=np.int64(n_docs),
        n_ranges=np.int64(-(-n_docs // (1 << range_bits))),
        n_blocks=np.int64(n_blocks),
        range_bits=np.int64(range_bits),
        block_bits=np.int64(block_bits),
    )


def stride(n_blocks: int) -> int:
    """Bytes of a row of the head."""
    return -(-max(n_blocks, 1) // STRIDE) * STRIDE


def lay_out(
    postings: SparseRows, order: NDArray[np.uint32], codec: Codec, shape: Shape, n_threads: int, write: Write
) -> None:
    """Hand every array of the layout to ``write``, by name, in pieces that follow one another.

    ``order`` is the document at each position. Memory: two chunks of terms per thread, about
    200 MB, and 4 bytes per document.
    """
    n_docs, n_terms = len(order), len(postings.offsets) - 1
    positions = np.empty(n_docs, np.uint32)
    positions[order] = np.arange(n_docs, dtype=np.uint32)
    n_blocks = -(-n_docs // (1 << shape.block_bits))
    skips = rows = 0
    tail = np.zeros(n_terms + 1, np.int64)
    head_rows = np.full(n_terms, -1, np.int32)

    def lay(terms: tuple[int, int]) -> Part:
        return _lay_terms(postings, *terms, read_only(positions), codec, shape, n_blocks)

    with ThreadPoolExecutor(n_threads) as pool:
        ranges = list(_term_ranges(postings.offsets))
        for at in range(0, len(ranges), n_threads):  # not all at once: parts wait for their turn to be written
            for (first, last), part in zip(
                ranges[at : at + n_threads], pool.map(lay, ranges[at : at + n_threads]), strict=True
            ):
                lengths = part.runs[:, 1:, 0] - part.runs[:, :-1, 0]
                part.runs[:, :-1, 1] += np.where(lengths > SHORT, np.uint32(skips), np.uint32(0))
                skips += len(part.skips)
                head_rows[first:last][part.in_head] = np.arange(rows, rows + len(part.head), dtype=np.int32)
                rows += len(part.head)
                tail[first + 1 : last + 1] = np.where(part.in_head, 0, part.reach)
                for name in ("local", "impacts", "runs", "skips", "head", "tail_blocks", "tail_bounds", "steps"):
                    write(name, getattr(part, name).reshape(-1))
    write("order", order)
    write("head_rows", head_rows)
    write("tail_offsets", np.cumsum(tail))
    write("shape", np.array([shape.range_bits, shape.block_bits], np.int64))
    write("scale", np.array([codec.scale], np.float32))


def _term_ranges(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of terms that cover all, each of at most CHUNK postings and 4096 terms, or of one term."""
    first, n_terms = 0, len(offsets) - 1
    while first < n_terms:
        last = int(np.searchsorted(offsets, offsets[first] + CHUNK, side="right")) - 1
        last = min(max(last, first + 1), first + 4096, n_terms)
        yield first, last
        first = last


def _lay_terms(
    postings: SparseRows,
    first: int,
    last: int,
    positions: NDArray[np.uint32],
    codec: Codec,
    shape: Shape,
    n_blocks: int,
) -> Part:
    begin, end = int(postings.offsets[first]), int(postings.offsets[last])
    range_bits, block_bits = shape
    n_ranges = -(-len(positions) // (1 << range_bits))
    offsets = read_only(postings.offsets)
    weights = codec.encode(postings.weights[begin:end])
    local, impacts = np.empty(end - begin, np.uint16), np.empty(end - begin, weights.dtype)
    runs = np.zeros((last - first, n_ranges + 1, 2), np.uint32)
    columns = read_only(postings.columns[begin:end])
    sort_by_position(offsets, columns, read_only(weights), positions, first, last, range_bits, local, impacts, runs)
    steps, reach = np.zeros(last - first, np.float32), np.zeros(last - first, np.int64)
    scale = np.float32(codec.scale)
    used = measure(offsets, first, last, range_bits, block_bits, local, impacts, scale, runs, steps, reach)
    in_head = is_head(reach, n_blocks)
    skips, head = np.zeros(used, np.uint16), np.zeros((int(in_head.sum()), stride(n_blocks)), np.uint8)
    n_tail = int(reach[~in_head].sum())
    tail_blocks = np.empty(n_tail, np.uint16 if n_blocks <= 1 << 16 else np.uint32)
    tail_bounds = np.empty(n_tail, np.uint8)
    fill(
        offsets, first, last, range_bits, block_bits, n_blocks, local, impacts, scale, runs, steps, reach,
        skips, head, tail_blocks, tail_bounds,
    )  # fmt: skip
    return Part(local, impacts, runs, skips, in_head, head, reach, tail_blocks, tail_bounds, steps)
