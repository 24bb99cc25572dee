"""The engines of this project by name, and the one for a model's vectors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.places.milvus import Milvus
from splade.engines.places.qdrant import Qdrant
from splade.engines.protocol import Engine, Kind

OWN: dict[str, Callable[[Path | None], Engine]] = {
    "inverted": Inverted,
    "dense": Dense,
    "bm25": Bm25,
    "milvus": Milvus,
    "qdrant": Qdrant,
}
"""The engines that keep a folder on this machine, by the name that ``config.engine`` has for them."""


def engine_of(model: Any) -> str:
    """The name of the engine for the vectors of ``model``; inverted where it names none."""
    return str(getattr(model, "engine", "inverted"))


def kind_of(model: Any) -> Kind:
    """The kind of vectors that ``model`` makes: the one that its engine takes."""
    return OWN[engine_of(model)](None).takes
