"""Qdrant as an engine: embedded (qdrant-edge) in the index folder, or a server at ``engine.url``."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from splade.engines.places.databases.parts import parts, vectors_of
from splade.engines.places.databases.qdrant_calls import Client
from splade.engines.places.databases.qdrant_edge import EdgeStore
from splade.engines.places.databases.qdrant_settings import KEY, VECTOR, Settings, quantization, settings_of
from splade.engines.places.kept import Kept
from splade.engines.places.secrets import secret
from splade.engines.places.store import Found, Store
from splade.records import SparseBatch, SparseRows


class Qdrant(Kept):
    """Sparse vectors in Qdrant, by inner product.

    Without ``url`` they are in ``folder/qdrant/places``, by qdrant-edge in this process. ``url`` is a server's REST
    address, as http://host:6333; its key comes from ``api_key_file`` or the environment's ``QDRANT_API_KEY``.

    ``on_disk`` keeps the inverted index on disk instead of in memory. ``datatype`` of its weights: float32 is exact,
    float16 and uint8 are smaller. Collections below ``full_scan_threshold`` vectors may be searched without the index.
    ``batch`` documents are put at a time. ``timeout`` is in seconds, for one call. ValueError and InputError for
    values out of range.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        url: str | None = None,
        api_key_file: str | Path | None = None,
        on_disk: bool = False,
        datatype: str = "float32",
        full_scan_threshold: int = 0,
        batch: int = 500,
        timeout: float = 60.0,
    ) -> None:
        super().__init__(folder, "qdrant")
        self.settings = settings_of(url, api_key_file, on_disk, datatype, full_scan_threshold, batch, timeout)

    def store(self, folder: Path) -> Store:
        """Return the store in ``folder``, or at the address."""
        return EdgeStore(folder, self.settings) if self.settings.url is None else QdrantStore(self.settings)


class QdrantStore:
    """Collections of a server: for each document a point, whose id is its number and whose payload has its id."""

    name: ClassVar[str] = "qdrant"

    def __init__(self, settings: Settings) -> None:
        self.settings, self.at_once = settings, settings.batch

    @cached_property
    def client(self) -> Client:
        """The client, made at the first call."""
        settings = self.settings
        return Client(str(settings.url), secret(KEY, settings.api_key_file), settings.timeout)

    def create(self, place: str, about: dict[str, Any]) -> None:
        """As :meth:`splade.engines.places.store.Store.create`; ``about`` is metadata, which Qdrant has since 1.16."""
        self.drop(place)
        types, settings = self.client.types, self.settings
        index = types.SparseIndexParams(
            full_scan_threshold=settings.full_scan_threshold,
            on_disk=settings.on_disk,
            datatype=types.Datatype(settings.datatype),
        )
        self.client.call(
            "create_collection",
            place,
            vectors_config={},
            sparse_vectors_config={VECTOR: types.SparseVectorParams(index=index)},
            metadata=about if self.client.release >= (1, 16) else None,
        )

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """As :meth:`splade.engines.places.store.Store.put`; returns when the points can be found."""
        types = self.client.types
        for part in parts(batch, first, self.name):
            points = []
            for entry in part:
                vector = types.SparseVector(indices=entry.terms.tolist(), values=entry.weights.tolist())
                points.append(types.PointStruct(id=entry.number, vector={VECTOR: vector}, payload={"id": entry.id}))
            self.client.call("upsert", place, points, wait=True)

    def finish(self, place: str) -> None:
        """Return when the server has indexed what was put, and does nothing with it any more."""
        self.client.wait_until_green(place)

    def count(self, place: str) -> int | None:
        """As :meth:`splade.engines.places.store.Store.count`; exact at any time."""
        if not self.client.call("collection_exists", place):
            return None
        return int(self.client.call("count", place, exact=True).count)

    def about(self, place: str) -> dict[str, Any] | None:
        """As :meth:`splade.engines.places.store.Store.about`."""
        if not self.client.call("collection_exists", place):
            return None
        return self.client.call("get_collection", place).config.metadata or None

    def drop(self, place: str) -> None:
        """As :meth:`splade.engines.places.store.Store.drop`."""
        if self.client.call("collection_exists", place):
            self.client.call("delete_collection", place)

    def places(self) -> list[str]:
        """As :meth:`splade.engines.places.store.Store.places`."""
        return sorted(each.name for each in self.client.call("get_collections").collections)

    def open(self, place: str) -> "QdrantSearching":
        """As :meth:`splade.engines.places.store.Store.open`."""
        return QdrantSearching(self, place)

    def identity(self) -> dict[str, Any]:
        """The form of the index."""
        return self.settings.identity()


class QdrantSearching:
    """A collection of a server."""

    most: int | None = None
    concurrent = True

    def __init__(self, store: QdrantStore, place: str) -> None:
        self.store, self.place = store, place

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """As :meth:`splade.engines.places.store.Searching.search`."""
        client = self.store.client
        types = client.types
        requests = [
            types.QueryRequest(query=types.SparseVector(indices=terms, values=weights), using=VECTOR, limit=limit)
            for terms, weights in vectors_of(rows)
        ]
        answers = client.call("query_batch_points", self.place, requests)
        return [found_of(answer.points) for answer in answers]

    def facts(self) -> dict[str, Any]:
        """As :meth:`splade.engines.places.store.Searching.facts`; a server does not tell the bytes of a collection."""
        client, settings = self.store.client, self.store.settings
        told: dict[str, Any] = {"strategy": "inverted index", "version": f"qdrant {client.version}"}
        return told | {"client": client.client_version, "quantization": quantization(settings.datatype)}


def found_of(points: Any) -> Found:
    """Points with scores as an answer."""
    numbers = np.fromiter((point.id for point in points), np.int64, len(points))
    return Found(numbers, np.fromiter((point.score for point in points), np.float32, len(points)))
