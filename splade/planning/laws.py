"""The law of growth: what the figures of a sample become at N documents.

Linear in documents: hours of encoding, bytes of shards and of exports, postings, ids, and the time of a build but for
one part. These are not:

- the vocabulary is counted once, for an index, and once for each shard;
- a row of runs has 8 bytes for each term and 32,768 documents, however few of them have it;
- a skip table has 2^b slots and one more for a run of more than 32 postings, b the bits of the sixteenth part of it;
- a bound is one byte per block for terms of more than a sixth of the blocks, and a byte and a number of the block for
  each block of the others: 2 bytes up to 65,536 blocks (4.2 million documents), 4 from there on;
- the ids of all documents are sorted at each of the segments that a build stores: quadratic, if with a small factor;
- a worker holds 20 bytes for each document of the whole collection, twice that for a moment.

The shares of documents and blocks that have a term are taken to stay. Blocks have fewer different terms as a collection
grows, since neighbours are more alike, so that bounds are an upper limit. Longer ids are not foreseen.
"""

from math import ceil
from typing import NamedTuple

import numpy as np

from splade.indexing.format.choices import Shape
from splade.kernels.blocks import HEAD_SHARE, SHORT, SLOT
from splade.planning.measuring import Measured

MIB = 1 << 20
RANGE, BLOCK = (1 << bits for bits in Shape())
TEXT_BYTES = 40  # that a worker holds for a moment of each text of a collection in a file
SEARCH_BYTES = 20.25  # that a thread of a search holds of each block
LAID_OUT = 40  # bytes of a posting while it is laid out
KEPT = 60  # bytes that a build holds of a document beside its id
MOST_TERMS = 4096  # whose runs are laid out together
SEGMENT = 0.5  # of ``memory_mb``: the other half is for the postings made of a segment's vectors


class Export(NamedTuple):
    """The files of an export foreseen; its memory is a batch, since it streams."""

    n_bytes: float
    hours: float


class Estimate(NamedTuple):
    """A collection of ``documents`` foreseen. Bytes, hours, and numbers; None where nothing was measured for it."""

    documents: int
    shards: int | None
    encode_hours: float | None  # of all workers together at work
    encode_memory: float | None  # of each worker
    encode_gpu_memory: float | None
    shard_bytes: float | None
    index_bytes: float
    build_hours: float
    build_memory: float
    build_disk: float  # segments and index, at the end of a build
    search_memory: float  # of a process beside the mapped index, for each thread
    slots: float  # of skip tables
    targets: dict[str, Export | str]  # why there is no figure


def estimate(
    measured: Measured, documents: int, *, workers: int, shard_hours: float, memory_mb: int, threads: int
) -> Estimate:
    """``documents`` foreseen by the figures of a sample.

    ``workers`` encode side by side, ``shard_hours`` is how long a shard may take one of them. The index is built in
    ``memory_mb`` MiB by so many ``threads``.
    """
    encoding, n = measured.encoding, documents
    work = None if encoding is None else n * encoding.seconds / measured.n_docs / 3600
    shards = None if work is None else max(workers, ceil(work / shard_hours))
    gpu = None if encoding is None or encoding.gpu_memory_mb is None else encoding.gpu_memory_mb * MIB
    slots = slots_of(measured, n)
    index, segments = index_bytes(measured, n), n * (8 * measured.terms + measured.id_bytes + 16)
    return Estimate(
        documents=n,
        shards=shards,
        encode_hours=None if work is None else work / workers,
        encode_memory=None if encoding is None else encoding.memory_mb * MIB + TEXT_BYTES * n,
        encode_gpu_memory=gpu,
        shard_bytes=None if shards is None else n * (measured.shard_bytes or 0) + shards * measured.shard_fixed,
        index_bytes=index,
        build_hours=build_seconds(measured, n, memory_mb) / 3600,
        build_memory=build_memory(measured, n, memory_mb, threads),
        build_disk=segments + index,
        search_memory=SEARCH_BYTES * ceil(n / BLOCK) + 4 * RANGE,
        slots=slots,
        targets={
            name: each if isinstance(each, str) else Export(each.n_bytes * n, each.seconds * n / 3600)
            for name, each in measured.targets.items()
        },
    )


def index_bytes(measured: Measured, documents: int) -> float:
    """The bytes of our index of ``documents``."""
    postings, n_blocks = documents * measured.terms, ceil(documents / BLOCK)
    frequent = measured.block_shares * HEAD_SHARE > 1
    head = n_blocks * int(np.count_nonzero(frequent))
    tail = n_blocks * float(measured.block_shares[~frequent].sum()) * (3 if n_blocks <= 1 << 16 else 5)
    runs = 8 * len(measured.doc_shares) * (ceil(documents / RANGE) + 1)
    of_documents = documents * (4 + measured.id_bytes + 8 + 8 + 4)
    of_postings = postings * (2 + measured.weight_bytes)
    return measured.fixed_bytes + of_postings + of_documents + head + tail + runs + 2 * slots_of(measured, documents)


def slots_of(measured: Measured, documents: int) -> float:
    """The slots of all skip tables, of runs that are as long as their term's share of a range."""
    full, rest = divmod(documents, RANGE)
    return full * _slots_of_range(measured, RANGE) + _slots_of_range(measured, rest)


def _slots_of_range(measured: Measured, n_docs: int) -> float:
    runs = measured.doc_shares * n_docs
    long = runs[runs > SHORT]
    bits = np.minimum(np.floor(np.log2((long - 1) // SLOT)) + 1, Shape().range_bits - Shape().block_bits)
    return float((2.0**bits + 1).sum())


def build_seconds(measured: Measured, documents: int, memory_mb: int) -> float:
    """The seconds of a build: in proportion to documents, and the sorting of all ids at each segment."""
    held = 8 * measured.terms + measured.id_bytes + 16
    segments = documents * held / (SEGMENT * memory_mb * MIB)
    return documents * measured.build_seconds + segments / 2 * documents * measured.sort_seconds


def build_memory(measured: Measured, documents: int, memory_mb: int, threads: int) -> float:
    """The bytes that a build holds at most, as the docstrings of the builder and of the layout say."""
    longest = LAID_OUT * documents * float(measured.doc_shares.max(initial=0.0))
    runs = 8 * min(len(measured.doc_shares), MOST_TERMS) * (ceil(documents / RANGE) + 1)
    of_documents = documents * (2 * measured.id_bytes + KEPT)
    return max(memory_mb * MIB, longest * threads) + of_documents + runs * (threads + 1)
