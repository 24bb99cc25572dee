"""Figures of a sample, measured on this machine: our index, a shard, and the files of each export target."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.exporting.target import ExportTarget
from splade.files import InputError
from splade.indexing import IndexBuilder, InvertedIndex, Vocabulary
from splade.planning.sample import Encoding, Sample

LINEAR = (
    "block_local", "block_impacts", "block_runs", "block_skips", "block_head", "block_tail_blocks",
    "block_tail_bounds", "block_order", "id_text", "id_offsets", "id_hashes", "id_order",
)  # fmt: skip
"""The arrays of an index that grow with documents; the others are as long as the vocabulary, or fixed."""
WARM_UP = 64  # documents that a target writes first
SORTED = 1 << 20  # ids that are sorted to learn how long that takes
WriteShard = Callable[[Sample, Path], Path]
"""Writes a sample as a shard into a folder, and returns the folder of the shard."""


class Written(NamedTuple):
    """The files of an export: bytes and seconds of each document."""

    n_bytes: float
    seconds: float


class Measured(NamedTuple):
    """Figures of ``n_docs`` documents of a sample."""

    n_docs: int
    doc_shares: NDArray[np.float64]  # [V] share of the documents that have a term
    block_shares: NDArray[np.float64]  # [V] share of the blocks of 64 documents that have it
    id_bytes: float  # of a document's id
    weight_bytes: int  # of a posting's weight in the index
    fixed_bytes: int  # of an index, whatever its documents
    build_seconds: float  # of a document
    sort_seconds: float  # of an id among many
    shard_bytes: float | None  # of a document in shards; None where none were encoded
    shard_fixed: int  # of a shard, whatever its documents
    targets: dict[str, Written | str]  # of each export; why it could not be measured
    encoding: Encoding | None

    @property
    def terms(self) -> float:
        """The mean number of terms of a document."""
        return float(self.doc_shares.sum())


def measure(
    sample: Sample,
    targets: Mapping[str, ExportTarget | str],
    write_shard: WriteShard | None,
    *,
    timed: int,
    **building: Any,
) -> Measured:
    """Index ``sample``, write it by ``write_shard`` and by each target, in folders that are removed again.

    The time of a build is that of ``timed`` documents, the sample's over and over: few documents cost much more each.
    A text in place of a target says why there is none. ``building`` are ``memory_mb`` and the choices of a layout.
    """
    building["cluster"] = True  # as any index of more than 8,192 documents is
    with TemporaryDirectory() as folder:
        place = Path(folder)
        index = _build(sample, place / "index", building)
        seconds = _seconds_of_build(sample, timed, place / "timed", building)
        arrays = {name: array.nbytes for name, array in index.arrays.items()}
        shard = None if write_shard is None else write_shard(sample, place / "shards")
        return Measured(
            n_docs=sample.n_docs,
            doc_shares=np.diff(index.arrays["offsets"]) / sample.n_docs,
            block_shares=block_shares(index),
            id_bytes=arrays["id_text"] / sample.n_docs,
            weight_bytes=index.arrays["block_impacts"].itemsize,
            fixed_bytes=sum(size for name, size in arrays.items() if name not in LINEAR),
            build_seconds=seconds,
            sort_seconds=sort_seconds(),
            shard_bytes=None if shard is None else bytes_of(shard.glob("*.npz")) / sample.n_docs,
            shard_fixed=0 if shard is None else bytes_of(shard.glob("*.json")),
            targets={name: written_by(target, place / name, sample) for name, target in targets.items()},
            encoding=sample.encoding,
        )


def _build(sample: Sample, path: Path, building: Mapping[str, Any]) -> InvertedIndex:
    vocabulary = None if sample.terms is None else Vocabulary(sample.terms)
    builder = IndexBuilder(path, sample.vectors.vocab_size, vocabulary=vocabulary, **building)
    builder.add(sample.vectors)
    return builder.finish()


def _seconds_of_build(sample: Sample, timed: int, path: Path, building: Mapping[str, Any]) -> float:
    """The seconds for each document of a build of ``timed``, or of all where the sample has more."""
    copies = max(1, -(-timed // sample.n_docs))
    several = sample.repeated(copies)
    began = time.perf_counter()
    _build(several, path, building)
    return (time.perf_counter() - began) / several.n_docs


def block_shares(index: InvertedIndex) -> NDArray[np.float64]:
    """The share of blocks that each term is found in, float64 [V]."""
    blocks = index.blocks
    reached = np.diff(blocks.tail_offsets)
    in_head = np.flatnonzero(blocks.head_rows >= 0)
    reached[in_head] = np.count_nonzero(blocks.head[blocks.head_rows[in_head]], axis=1)
    return np.asarray(reached / max(int(blocks.n_blocks), 1), np.float64)


def written_by(target: ExportTarget | str, folder: Path, sample: Sample) -> Written | str:
    """The cost of the files that ``target`` writes of ``sample`` into ``folder``; the reason where it writes none.

    Some documents are written before, so that what a target loads or compiles is not counted.
    """
    if isinstance(target, str):
        return target
    prepare = getattr(target, "prepare", None)
    try:
        for part, place in ((sample.first(WARM_UP), folder / "before"), (sample, folder / "files")):
            place.mkdir(parents=True)
            began = time.perf_counter()
            if prepare is not None:
                prepare(part.counts)
            target.write_documents(place, [(part.vectors, part.texts)], part.words)
            seconds = time.perf_counter() - began
    except (InputError, ImportError, ValueError) as error:
        return str(error)
    return Written(bytes_of((folder / "files").rglob("*")) / sample.n_docs, seconds / sample.n_docs)


def bytes_of(paths: Iterable[Path]) -> int:
    """The bytes of those of ``paths`` that are files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def sort_seconds(clock: Callable[[], float] = time.perf_counter) -> float:
    """The seconds that sorting takes for each of a million hashes; the quickest of three times."""
    hashes = np.random.default_rng(0).integers(0, 1 << 63, SORTED, dtype=np.uint64)
    found = []
    for _ in range(3):
        began = clock()
        np.sort(hashes)
        found.append(clock() - began)
    return min(found) / SORTED
