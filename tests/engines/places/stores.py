"""The systems that are tested where their packages are installed; a further one is a line of `STORES`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from splade.engines.places.databases.milvus import Milvus
from splade.engines.places.databases.qdrant import Qdrant
from splade.engines.places.kept import Kept


class Stored(NamedTuple):
    """An engine with a folder of its own, what it needs, and the relative loss of a score that its page states."""

    make: Callable[[Path], Kept]
    packages: tuple[str, ...]
    tolerance: float = 1e-5


STORES = {
    "milvus": Stored(Milvus, ("pymilvus", "milvus_lite")),
    "qdrant": Stored(Qdrant, ("qdrant_edge",)),
    "qdrant float16": Stored(lambda folder: Qdrant(folder, datatype="float16"), ("qdrant_edge",), 1e-3),
    "qdrant uint8": Stored(lambda folder: Qdrant(folder, datatype="uint8"), ("qdrant_edge",), 5e-3),
    "qdrant on disk": Stored(lambda folder: Qdrant(folder, on_disk=True), ("qdrant_edge",)),
}
EACH = ("milvus", "qdrant")  # one of each system


def stored(name: str) -> Stored:
    """The entry of that name; skips the test where a package is missing."""
    entry = STORES[name]
    needs(*entry.packages)
    return entry


def needs(*packages: str) -> Any:
    """Skip the test where one of these is not installed."""
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"the package of {package} is not installed")
