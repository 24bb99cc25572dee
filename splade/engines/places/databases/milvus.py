"""Milvus as an engine: embedded (milvus-lite) in the index folder, or a server or cluster at ``engine.uri``."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from splade.engines.places.databases.milvus_calls import Connection, connected
from splade.engines.places.databases.parts import parts, vectors_of
from splade.engines.places.kept import Kept
from splade.engines.places.secrets import refuse_secret_in, secret
from splade.engines.places.store import Found
from splade.files import InputError
from splade.records import SparseBatch, SparseRows

TOKEN = "MILVUS_TOKEN"
ALGORITHMS = ("auto", "DAAT_MAXSCORE", "DAAT_WAND", "TAAT_NAIVE", "BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI")
NEW = ("BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI")  # since Milvus 3.0
CONSISTENCY = ("Strong", "Session", "Bounded", "Eventually")
NUMBER, ID, VECTOR = "number", "id", "vector"
MOST = 16_384  # documents that Milvus returns for a query
LONGEST = 65_535  # bytes of an id in a VARCHAR field


class Settings(NamedTuple):
    """Settings of a store."""

    uri: str | None
    token_file: str | Path | None
    algorithm: str
    drop_ratio: float
    batch: int
    consistency: str
    timeout: float


class Milvus(Kept):
    """Sparse vectors in Milvus, by inner product.

    Without ``uri`` they are in ``folder/milvus/vectors.db``, by milvus-lite in this process. ``uri`` is a server's,
    as http://host:19530; its token comes from ``token_file`` or the environment's ``MILVUS_TOKEN``.

    ``algorithm`` is Milvus's ``inverted_index_algo``; ``auto`` is BLOCK_MAX_MAXSCORE from Milvus 3.0 on, DAAT_MAXSCORE
    before, and milvus-lite's only one, TAAT_NAIVE. ``drop_ratio_search`` is the share of the smallest query weights
    that a search leaves out; 0 is exact. ``batch`` documents are put at a time. ``consistency`` is that of searches.
    ``timeout`` is in seconds, for one call. ValueError and InputError for values out of range.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        uri: str | None = None,
        token_file: str | Path | None = None,
        algorithm: str = "auto",
        drop_ratio_search: float = 0.0,
        batch: int = 1000,
        consistency: str = "Strong",
        timeout: float = 60.0,
    ) -> None:
        super().__init__(folder, "milvus")
        if algorithm not in ALGORITHMS:
            raise ValueError(f"engine.algorithm={algorithm!r}: Milvus has {', '.join(ALGORITHMS)}")
        if not 0 <= drop_ratio_search < 1:
            raise ValueError(f"engine.drop_ratio_search={drop_ratio_search}: it is a share from 0 to below 1")
        if batch < 1 or timeout <= 0:
            raise ValueError(f"engine.batch={batch} must be at least 1, and engine.timeout={timeout} above 0 seconds")
        if consistency not in CONSISTENCY:
            raise ValueError(f"engine.consistency={consistency!r}: Milvus has {', '.join(CONSISTENCY)}")
        if uri is not None:
            refuse_secret_in(uri, "engine.uri", TOKEN)
            if not uri.startswith(("http://", "https://")):
                raise ValueError(f"engine.uri={uri}: a server's address starts with http:// or https://")
        if uri is None and drop_ratio_search:
            raise ValueError(f"engine.drop_ratio_search={drop_ratio_search}: milvus-lite searches exactly (0)")
        if uri is None and algorithm not in ("auto", "TAAT_NAIVE"):
            raise ValueError(f"engine.algorithm={algorithm}: milvus-lite has TAAT_NAIVE only; set engine.uri")
        self.settings = Settings(
            uri, token_file, algorithm, float(drop_ratio_search), batch, consistency, float(timeout)
        )

    def store(self, folder: Path) -> "MilvusStore":
        """Return the store in ``folder``, or at the address."""
        return MilvusStore(folder, self.settings)


class MilvusStore:
    """Collections of Milvus: for each document its number (the primary key), its id and its vector."""

    name: ClassVar[str] = "milvus"

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings, self.at_once = settings, settings.batch
        self.database = None if settings.uri else folder / "vectors.db"

    @cached_property
    def connection(self) -> Connection:
        """The connection, made at the first call."""
        settings = self.settings
        if self.database is not None:
            return connected(self.database, None, settings.timeout)
        return connected(str(settings.uri), secret(TOKEN, settings.token_file), settings.timeout)

    def create(self, place: str, about: dict[str, Any]) -> None:
        """As :meth:`splade.engines.places.store.Store.create`; ``about`` is in the description of the collection."""
        self.drop(place)
        client, told = self.connection, json.dumps(about)
        types = client.module.DataType
        schema = client.module.MilvusClient.create_schema(auto_id=False, description=told)
        schema.add_field(NUMBER, types.INT64, is_primary=True)
        schema.add_field(ID, types.VARCHAR, max_length=LONGEST)
        schema.add_field(VECTOR, types.SPARSE_FLOAT_VECTOR)
        # milvus-lite keeps no description, and servers may refuse properties that they do not know
        more = {"properties": {"splade": told}} if client.is_lite else {}
        client.call("create_collection", place, schema=schema, **more)

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """As :meth:`splade.engines.places.store.Store.put`; documents without terms are left out."""
        for part in parts(batch, first, self.name):
            rows = []
            for entry in part:
                if len(entry.id.encode()) > LONGEST:
                    raise InputError(f"document {entry.id[:50]!r}…: Milvus takes ids of at most {LONGEST} bytes")
                vector = dict(zip(entry.terms.tolist(), entry.weights.tolist(), strict=True))
                rows.append({NUMBER: entry.number, ID: entry.id, VECTOR: vector})
            self.connection.call("upsert", place, data=rows)

    def finish(self, place: str) -> None:
        """Write down, index and load all that was put."""
        client = self.connection
        client.call("flush", place, timeout=None)
        if not client.call("list_indexes", place):
            index = client.module.MilvusClient.prepare_index_params()
            algorithm = {"inverted_index_algo": self.algorithm}
            kind = {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"}
            index.add_index(VECTOR, index_name=VECTOR, **kind, params=algorithm)
            client.call("create_index", place, index_params=index, timeout=None)
        client.call("load_collection", place, timeout=None)

    def count(self, place: str) -> int | None:
        """As :meth:`splade.engines.places.store.Store.count`; exact when the place is finished."""
        client = self.connection
        if not client.call("has_collection", place):
            return None
        if not client.is_lite:  # a server counts exactly only what is loaded, and loads only what has an index
            if not client.call("list_indexes", place):
                return int(client.call("get_collection_stats", place)["row_count"])
            client.call("load_collection", place, timeout=None)
        counted = client.call(
            "query", place, filter="", output_fields=["count(*)"], consistency_level=self.settings.consistency
        )
        return int(counted[0]["count(*)"])

    def about(self, place: str) -> dict[str, Any] | None:
        """As :meth:`splade.engines.places.store.Store.about`."""
        if not self.connection.call("has_collection", place):
            return None
        told = self.connection.call("describe_collection", place)
        try:
            return dict(json.loads(told["description"] or told["properties"]["splade"]))
        except (KeyError, ValueError):
            return None

    def drop(self, place: str) -> None:
        """As :meth:`splade.engines.places.store.Store.drop`."""
        if self.connection.call("has_collection", place):
            self.connection.call("drop_collection", place)

    def places(self) -> list[str]:
        """As :meth:`splade.engines.places.store.Store.places`."""
        if self.database is not None and not self.database.exists():
            return []
        return sorted(self.connection.call("list_collections"))

    def open(self, place: str) -> "MilvusSearching":
        """As :meth:`splade.engines.places.store.Store.open`."""
        self.connection.call("load_collection", place, timeout=None)
        return MilvusSearching(self, place)

    def identity(self) -> dict[str, Any]:
        """The algorithm, which is part of the index."""
        return {"algorithm": self.settings.algorithm}

    @property
    def algorithm(self) -> str:
        """The algorithm of the index; InputError for one that the server does not have."""
        chosen, client = self.settings.algorithm, self.connection
        if client.is_lite:
            return "TAAT_NAIVE"
        if chosen == "auto":
            return "BLOCK_MAX_MAXSCORE" if client.release >= (3, 0) else "DAAT_MAXSCORE"
        if chosen in NEW and client.release < (3, 0):
            raise InputError(
                f"engine.algorithm={chosen}: Milvus has it since 3.0; {client.address} is {client.version}. "
                "Set engine.algorithm=auto"
            )
        return chosen


class MilvusSearching:
    """A loaded collection."""

    most: int | None = MOST
    concurrent = True

    def __init__(self, store: MilvusStore, place: str) -> None:
        self.store, self.place = store, place
        level = store.settings.consistency
        params = {} if store.connection.is_lite else {"drop_ratio_search": store.settings.drop_ratio}
        self.how: dict[str, Any] = {"anns_field": VECTOR, "output_fields": [NUMBER], "consistency_level": level}
        self.how["search_params"] = {"metric_type": "IP", "params": params}

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """As :meth:`splade.engines.places.store.Searching.search`."""
        asked = [dict(zip(*vector, strict=True)) for vector in vectors_of(rows)]
        answers = self.store.connection.call("search", self.place, data=asked, limit=limit, **self.how)
        return [Found(np.array(one.ids, np.int64), np.array(one.distances, np.float32)) for one in answers]

    def facts(self) -> dict[str, Any]:
        """As :meth:`splade.engines.places.store.Searching.facts`; bytes are those of an embedded collection."""
        store, client = self.store, self.store.connection
        told: dict[str, Any] = {"strategy": store.algorithm, "version": client.version, "client": client.client_version}
        told |= {"quantization": "none: float32 weights and scores", "consistency": store.settings.consistency}
        if store.settings.drop_ratio:
            told["drop_ratio_search"] = store.settings.drop_ratio
        if store.database is not None:
            files = (store.database / "collections" / self.place).rglob("*")
            told["bytes"] = sum(file.stat().st_size for file in files if file.is_file())
        return told
