"""The engines of this project by name, and the one for a model's vectors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.places.bmp import Bmp
from splade.engines.places.lucene import Lucene
from splade.engines.places.pisa import Pisa
from splade.engines.places.seismic import Seismic
from splade.engines.protocol import Engine, Kind

OWN: dict[str, Callable[[Path | None], Engine]] = {
    "inverted": Inverted,
    "dense": Dense,
    "bm25": Bm25,
    "lucene": Lucene,
    "pisa": Pisa,
    "seismic": Seismic,
    "bmp": Bmp,
}
"""The engines that keep a folder on this machine, by the name that ``config.engine`` has for them."""


def engine_of(model: Any) -> str:
    """The name of the engine for the vectors of ``model``; inverted where it names none."""
    return str(getattr(model, "engine", "inverted"))


def kind_of(model: Any) -> Kind:
    """The kind of vectors that ``model`` makes: the one that its engine takes."""
    return OWN[engine_of(model)](None).takes
