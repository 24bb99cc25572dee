"""The blocked layout of an index: how it is derived from vectors, and found again in stored arrays."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing.format.choices import Layout, Shape
from splade.indexing.format.pruning import Pruned, Pruning, prune_postings
from splade.indexing.format.weights import Codec
from splade.indexing.layout.clustering import alike_order, cluster_order
from splade.indexing.layout.sources import Kept, Source
from splade.kernels.blocks import SHORT, STRIDE, Blocks
from splade.kernels.compiled import read_only
from splade.kernels.layout import fill, fill_dense, is_dense, is_head, measure, sort_by_position
from splade.records import SparseRows

MOST_POSTINGS, FEWEST_POSTINGS = 8 << 20, 1 << 16  # laid out at a time by a thread
MOST_TERMS = 4096
BYTES = 40  # held per posting while it is laid out
MOST_SLOTS = (1 << 32) - 1  # of all skip tables: a run says in 32 bits where its own begins
MIB = 1 << 20
PREFIX = "block_"  # of the names of the stored arrays
CLUSTERED = 8192  # documents from which on neighbours are made alike, unless told otherwise
NAMES = (
    "order", "local", "impacts", "runs", "skips", "head_rows", "head", "tail_offsets", "tail_blocks", "tail_bounds",
    "steps", "scale", "shape",
)  # fmt: skip
DENSE = ("dense_rows", "dense")  # which indexes of earlier versions lack
STORED = tuple(PREFIX + name for name in (*NAMES, *DENSE))
NEEDED = tuple(PREFIX + name for name in NAMES)

Write = Callable[[str, NDArray[Any]], None]


class Account(NamedTuple):
    """An account of the postings laid out in an index, and of those that pruning left out."""

    n_postings: int
    terms_left: int  # terms with a posting
    docs_left: int  # documents with a posting; -1 where nothing was pruned
    pruned: Pruned
    drawn: SparseRows | None  # some documents drawn at random; None where none was looked at

    def empty_docs(self, before: int, n_docs: int) -> int:
        """Documents without a posting, given that there were ``before`` of them before pruning."""
        return before if self.docs_left < 0 else n_docs - self.docs_left

    def report(self, rules: Pruning, postings: int, of_documents: Pruned, terms: int) -> Pruned | None:
        """The whole account, given the number of postings and terms there were; None where there is no rule.

        ``of_documents`` counts the postings that were left out before the rest was laid out.
        """
        if not rules.prunes:
            return None
        return (self.pruned + of_documents)._replace(postings_before=postings, terms_lost=terms - self.terms_left)


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
    is_dense: NDArray[np.bool_]
    dense: NDArray[Any]
    lengths: NDArray[np.int64]  # postings of each term
    pruned: Pruned


def choose_order(source: Source, layout: Layout) -> tuple[NDArray[np.uint32], SparseRows | None]:
    """The document at each position, and some documents drawn at random, where they were looked at."""
    wanted = source.n_docs >= CLUSTERED if layout.cluster is None else layout.cluster
    if not wanted or source.n_docs < 2:
        return np.arange(source.n_docs, dtype=np.uint32), None
    if layout.cluster:
        return cluster_order(source, layout.seed, layout.threads)
    return alike_order(source, 1 << layout.sizes.block_bits, layout.seed, layout.threads)


def blocks_from(arrays: Mapping[str, NDArray[Any]]) -> Blocks:
    """The layout whose arrays have these names in storage, ready for the kernels."""
    found: dict[str, Any] = {name: read_only(arrays[PREFIX + name]) for name in NAMES}
    range_bits, block_bits = (int(value) for value in found.pop("shape"))
    n_docs, n_terms = len(found["order"]), len(arrays["offsets"]) - 1
    dense_rows = arrays.get(PREFIX + "dense_rows", np.full(n_terms, -1, np.int32))
    dense = arrays.get(PREFIX + "dense", np.empty(0, found["impacts"].dtype))
    n_blocks = -(-n_docs // (1 << block_bits))
    return Blocks(
        **(found | {"head": found["head"].reshape(-1, stride(n_blocks)), "scale": np.float32(found["scale"][0])}),
        offsets=read_only(arrays["offsets"]),
        dense_rows=read_only(dense_rows),
        dense=read_only(dense),
        n_docs=np.int64(n_docs),
        n_ranges=np.int64(-(-n_docs // (1 << range_bits))),
        n_blocks=np.int64(n_blocks),
        range_bits=np.int64(range_bits),
        block_bits=np.int64(block_bits),
    )


def stride(n_blocks: int) -> int:
    """Bytes of a row of the head."""
    return -(-max(n_blocks, 1) // STRIDE) * STRIDE


def lay_out(source: Source, codec: Codec, layout: Layout, write: Write, *, memory_mb: int = 1024) -> Account:
    """Hand every array of an index but its ids to ``write``, by stored name, in pieces that follow one another.

    Memory: ``memory_mb`` MiB, or 40 bytes per posting of one term of each thread where that is more;
    besides, 28 bytes per document and what `Source.documents` holds.
    """
    source = Kept(source, codec)
    order, drawn = choose_order(source, layout)
    n_docs, n_terms = len(order), len(source.offsets) - 1
    positions = np.empty(n_docs, np.uint32)
    positions[order] = np.arange(n_docs, dtype=np.uint32)
    positions = read_only(positions)
    n_blocks = -(-n_docs // (1 << layout.sizes.block_bits))
    seen = np.zeros(n_docs if layout.pruning.prunes else 0, np.bool_)
    skips = rows = n_dense = 0
    pruned = Pruned()
    lengths, tail = np.zeros(n_terms + 1, np.int64), np.zeros(n_terms + 1, np.int64)
    head_rows, dense_rows = np.full(n_terms, -1, np.int32), np.full(n_terms, -1, np.int32)

    def lay(first: int, last: int) -> Part:
        postings, left_out = prune_postings(source.of_terms(first, last), layout.pruning)
        if seen.size:
            seen[postings.columns] = True
        return _lay_terms(postings, positions, codec, layout.sizes, n_blocks, left_out)

    most = memory_mb * MIB // BYTES // (layout.threads + 1)
    ranges = list(_term_ranges(source.offsets, min(max(most, FEWEST_POSTINGS), MOST_POSTINGS))) or [(0, 0)]
    for (first, last), part in _ahead(lay, ranges, layout.threads):
        _refuse_slots(skips + len(part.skips), n_docs)
        run_lengths = part.runs[:, 1:, 0] - part.runs[:, :-1, 0]
        part.runs[:, :-1, 1] += np.where(run_lengths > SHORT, np.uint32(skips), np.uint32(0))
        skips += len(part.skips)
        head_rows[first:last][part.in_head] = np.arange(rows, rows + len(part.head), dtype=np.int32)
        rows += len(part.head)
        dense_rows[first:last][part.is_dense] = np.arange(n_dense, n_dense + len(part.dense), dtype=np.int32)
        n_dense += len(part.dense)
        lengths[first + 1 : last + 1] = part.lengths
        tail[first + 1 : last + 1] = np.where(part.in_head, 0, part.reach)
        pruned += part.pruned
        for name in ("local", "impacts", "runs", "skips", "head", "tail_blocks", "tail_bounds", "steps", "dense"):
            write(PREFIX + name, getattr(part, name).reshape(-1))
    write("offsets", np.cumsum(lengths))
    write(PREFIX + "order", order)
    write(PREFIX + "head_rows", head_rows)
    write(PREFIX + "dense_rows", dense_rows)
    write(PREFIX + "tail_offsets", np.cumsum(tail))
    write(PREFIX + "shape", np.array(layout.sizes, np.int64))
    write(PREFIX + "scale", np.array([codec.scale], np.float32))
    n_left = int(seen.sum()) if seen.size else -1
    return Account(int(lengths.sum()), int(np.count_nonzero(lengths)), n_left, pruned, drawn)


def _refuse_slots(n_slots: int, n_docs: int) -> None:
    """InputError where the places of skip tables would not fit into their type."""
    if n_slots > MOST_SLOTS:
        raise InputError(
            f"the postings of {n_docs} documents need more than {MOST_SLOTS} slots of skip tables, which is all that "
            "an index can number: make several indexes of them (python -m splade.plan says how many)"
        )


def _ahead(
    lay: Callable[[int, int], Part], ranges: list[tuple[int, int]], n_threads: int
) -> Iterator[tuple[tuple[int, int], Part]]:
    """Each range and its part, in order, while threads work on the next ones: not on all, since parts take room."""
    with ThreadPoolExecutor(n_threads) as pool:
        under_way: deque[tuple[tuple[int, int], Future[Part]]] = deque()
        try:
            for terms in ranges:
                under_way.append((terms, pool.submit(lay, *terms)))
                if len(under_way) > n_threads:
                    done, part = under_way.popleft()
                    yield done, part.result()
            while under_way:
                done, part = under_way.popleft()
                yield done, part.result()
        finally:
            for _, part in under_way:
                part.cancel()


def _term_ranges(offsets: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of terms that cover all, each of at most ``most`` postings and MOST_TERMS terms, or of one term."""
    first, n_terms = 0, len(offsets) - 1
    while first < n_terms:
        last = int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1
        last = min(max(last, first + 1), first + MOST_TERMS, n_terms)
        yield first, last
        first = last


def _lay_terms(
    postings: SparseRows,
    positions: NDArray[np.uint32],
    codec: Codec,
    shape: Shape,
    n_blocks: int,
    pruned: Pruned,
) -> Part:
    n_terms, n_postings = len(postings.offsets) - 1, len(postings.columns)
    range_bits, block_bits = shape
    n_ranges = -(-len(positions) // (1 << range_bits))
    offsets, columns = read_only(postings.offsets), read_only(postings.columns)
    weights = read_only(codec.encode(postings.weights))
    local, impacts = np.empty(n_postings, np.uint16), np.empty(n_postings, weights.dtype)
    runs = np.zeros((n_terms, n_ranges + 1, 2), np.uint32)
    sort_by_position(offsets, columns, weights, positions, range_bits, local, impacts, runs)
    steps, reach = np.zeros(n_terms, np.float32), np.zeros(n_terms, np.int64)
    scale = np.float32(codec.scale)
    used = measure(offsets, range_bits, block_bits, local, impacts, scale, runs, steps, reach)
    in_head = is_head(reach, n_blocks)
    skips, head = np.zeros(used, np.uint16), np.zeros((int(in_head.sum()), stride(n_blocks)), np.uint8)
    n_tail = int(reach[~in_head].sum())
    tail_blocks = np.empty(n_tail, np.uint16 if n_blocks <= 1 << 16 else np.uint32)
    tail_bounds = np.empty(n_tail, np.uint8)
    fill(
        offsets, range_bits, block_bits, n_blocks, local, impacts, scale, runs, steps, reach,
        skips, head, tail_blocks, tail_bounds,
    )  # fmt: skip
    lengths = np.diff(offsets)
    dense_terms = is_dense(lengths, len(positions))
    dense = np.zeros((int(dense_terms.sum()), len(positions)), impacts.dtype)
    fill_dense(offsets, range_bits, local, impacts, runs, dense_terms, dense)
    return Part(
        local, impacts, runs, skips, in_head, head, reach, tail_blocks, tail_bounds, steps, dense_terms, dense,
        lengths, pruned,
    )  # fmt: skip
