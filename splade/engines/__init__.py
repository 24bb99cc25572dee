"""Places where vectors live and are searched: one protocol, and one file for each.

Read `protocol` first. `inverted` and `dense` are our own indexes, `bm25` the baseline that needs no model,
`conformance` the checks that hold any engine to the protocol.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.protocol import Documents, Engine, Kind, Opened, Queries, Texts

OWN: dict[str, Callable[[Path | None], Engine]] = {"inverted": Inverted, "dense": Dense, "bm25": Bm25}
"""The engines that keep a folder of their own on this machine, by the name that ``config.engine`` has for them."""


def engine_of(model: Any) -> str:
    """The name of the engine for the vectors of ``model``; inverted where it names none."""
    return str(getattr(model, "engine", "inverted"))


def kind_of(model: Any) -> Kind:
    """The kind of vectors that ``model`` makes: the one that its engine takes."""
    return OWN[engine_of(model)](None).takes


__all__ = [
    "OWN",
    "Bm25",
    "Dense",
    "Documents",
    "Engine",
    "Inverted",
    "Opened",
    "Queries",
    "Texts",
    "engine_of",
    "kind_of",
]
