"""The engines of this project by name, and the one for a model's vectors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.places.databases.milvus import Milvus
from splade.engines.places.databases.qdrant import Qdrant
from splade.engines.places.libraries.bmp import Bmp
from splade.engines.places.libraries.lucene import Lucene
from splade.engines.places.libraries.pisa import Pisa
from splade.engines.places.libraries.seismic import Seismic
from splade.engines.places.rest.elasticsearch import Elasticsearch
from splade.engines.places.rest.opensearch import OpenSearch
from splade.engines.protocol import Engine, Kind

OWN: dict[str, Callable[[Path | None], Engine]] = {
    "inverted": Inverted,
    "dense": Dense,
    "bm25": Bm25,
    "milvus": Milvus,
    "qdrant": Qdrant,
    "opensearch": OpenSearch,
    "elasticsearch": Elasticsearch,
    "lucene": Lucene,
    "pisa": Pisa,
    "seismic": Seismic,
    "bmp": Bmp,
}
"""The engines by the name that ``config.engine`` has for them.

Each keeps something in a folder on this machine; those on a server have ids and terms there.
"""
ON_SERVERS = ("opensearch", "elasticsearch")
"""Those that need the address of a server."""


def engine_of(model: Any) -> str:
    """The name of the engine for the vectors of ``model``; inverted where it names none."""
    return str(getattr(model, "engine", "inverted"))


def kind_of(model: Any) -> Kind:
    """The kind of vectors that ``model`` makes: the one that its engine takes."""
    return OWN[engine_of(model)](None).takes
