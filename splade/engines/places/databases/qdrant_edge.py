"""Qdrant in this process (qdrant-edge): a folder for each place, with a shard of Qdrant and what it was made of."""

import shutil
import weakref
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from splade.engines.places.databases.parts import parts, vectors_of
from splade.engines.places.databases.qdrant_settings import VECTOR, Settings, quantization
from splade.engines.places.packages import package
from splade.engines.places.store import Found
from splade.files import InputError, read_json, write_json
from splade.records import SparseBatch, SparseRows

ABOUT, SHARD = "about.json", "shard"
INDEXED = 1  # KB of vectors from which a segment is indexed: all are

_OPEN: "weakref.WeakValueDictionary[str, Shard]" = weakref.WeakValueDictionary()


class Shard:
    """A shard that is open, once in a process, until nobody holds it any more; its folder is locked as long."""

    def __init__(self, edge: Any, folder: Path, config: Any = None) -> None:
        self.edge, self.folder = edge, folder
        try:
            opened = edge.EdgeShard.load(str(folder)) if config is None else edge.EdgeShard.create(str(folder), config)
        except Exception as error:  # the package raises no other
            raise InputError(_in_words(folder, error)) from error
        self.shard = opened
        self.close = weakref.finalize(self, opened.close)

    def call(self, name: str, *arguments: Any) -> Any:
        """The answer of a method of the shard; InputError where it fails."""
        try:
            return getattr(self.shard, name)(*arguments)
        except Exception as error:  # the package raises no other
            raise InputError(_in_words(self.folder, error)) from error


class EdgeStore:
    """Shards in ``folder/places``: for each document a point, whose id is its number and whose payload has its id."""

    name: ClassVar[str] = "qdrant"

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings, self.at_once = folder / "places", settings, settings.batch
        self._held: Shard | None = None  # stays open between two calls

    @cached_property
    def edge(self) -> Any:
        """The package."""
        return package("qdrant_edge", "qdrant")

    def create(self, place: str, about: dict[str, Any]) -> None:
        """As :meth:`splade.engines.places.store.Store.create`."""
        self.drop(place)
        edge, settings = self.edge, self.settings
        vectors = edge.EdgeSparseVectorParams(
            full_scan_threshold=settings.full_scan_threshold,
            memory=edge.Memory.Cold if settings.on_disk else edge.Memory.Pinned,
            datatype=getattr(edge.VectorStorageDatatype, settings.datatype.capitalize()),
        )
        optimizers = edge.EdgeOptimizersConfig(indexing_threshold=INDEXED, default_segment_number=1)
        shard = self.folder / place / SHARD
        shard.mkdir(parents=True)
        config = edge.EdgeConfig(sparse_vectors={VECTOR: vectors}, optimizers=optimizers)
        self._held = _OPEN[str(shard.resolve())] = Shard(edge, shard, config)
        write_json(self.folder / place / ABOUT, about)

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """As :meth:`splade.engines.places.store.Store.put`; what was put is in the shard's log when this returns."""
        edge, shard = self.edge, self._shard(place)
        for part in parts(batch, first, self.name):
            points = []
            for entry in part:
                vector = edge.SparseVector(entry.terms.tolist(), entry.weights.tolist())
                points.append(edge.Point(entry.number, {VECTOR: vector}, {"id": entry.id}))
            shard.call("update", edge.UpdateOperation.upsert_points(points))

    def finish(self, place: str) -> None:
        """Index all points and write them down."""
        shard = self._shard(place)
        while shard.call("optimize"):
            pass
        shard.call("flush")

    def count(self, place: str) -> int | None:
        """As :meth:`splade.engines.places.store.Store.count`; exact at any time."""
        if not (self.folder / place / ABOUT).is_file():
            return None
        return int(self._shard(place).call("count", self.edge.CountRequest(exact=True)))

    def about(self, place: str) -> dict[str, Any] | None:
        """As :meth:`splade.engines.places.store.Store.about`."""
        path = self.folder / place / ABOUT
        return dict(read_json(path)) if path.is_file() else None

    def drop(self, place: str) -> None:
        """As :meth:`splade.engines.places.store.Store.drop`."""
        there = _OPEN.get(str((self.folder / place / SHARD).resolve()))
        if there is not None:
            there.close()
        (self.folder / place / ABOUT).unlink(missing_ok=True)  # first: without it there is no place
        shutil.rmtree(self.folder / place, ignore_errors=True)

    def places(self) -> list[str]:
        """As :meth:`splade.engines.places.store.Store.places`."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{ABOUT}"))

    def open(self, place: str) -> "EdgeSearching":
        """As :meth:`splade.engines.places.store.Store.open`."""
        return EdgeSearching(self, self._shard(place), self.folder / place)

    def identity(self) -> dict[str, Any]:
        """The form of the index."""
        return self.settings.identity()

    def _shard(self, place: str) -> Shard:
        folder = self.folder / place / SHARD
        key = str(folder.resolve())
        there = _OPEN.get(key)
        if there is None or not there.close.alive:
            there = _OPEN[key] = Shard(self.edge, folder)
        self._held = there
        return there


class EdgeSearching:
    """A shard that is searched."""

    most: int | None = None
    concurrent = True

    def __init__(self, store: EdgeStore, shard: Shard, folder: Path) -> None:
        self.store, self.shard, self.folder = store, shard, folder

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """As :meth:`splade.engines.places.store.Searching.search`."""
        edge, answers = self.store.edge, []
        for terms, weights in vectors_of(rows):
            query = edge.Query.Nearest(edge.SparseVector(terms, weights), using=VECTOR)
            points = self.shard.call("query", edge.QueryRequest(limit=limit, query=query))
            numbers = np.fromiter((point.id for point in points), np.int64, len(points))
            answers.append(Found(numbers, np.fromiter((point.score for point in points), np.float32, len(points))))
        return answers

    def facts(self) -> dict[str, Any]:
        """As :meth:`splade.engines.places.store.Searching.facts`; bytes are those of the place's folder."""
        settings, info = self.store.settings, self.shard.call("info")
        told: dict[str, Any] = {"strategy": "inverted index", "version": f"qdrant-edge {version('qdrant-edge-py')}"}
        told |= {"quantization": quantization(settings.datatype), "segments": info.segments_count}
        files = (file for file in self.folder.rglob("*") if file.is_file())
        # Blocks and not lengths: files are laid out ahead of what is written into them.
        return told | {"indexed": info.indexed_vectors_count, "bytes": sum(512 * f.stat().st_blocks for f in files)}


def _in_words(folder: Path, error: Exception) -> str:
    told = " ".join(str(error).split())[:500]
    if "WouldBlock" in told:
        return f"engine=qdrant, {folder}: another process has it open. Wait for it, or stop it"
    return f"engine=qdrant, {folder}: {told}"
