"""Places where vectors live and are searched: one protocol, and one file for each.

Read `protocol` first. `inverted` and `dense` are our own indexes, `bm25` the baseline that needs no model, `places`
other systems, `conformance` the checks that hold any engine to the protocol.
"""

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.own import OWN, engine_of, kind_of
from splade.engines.protocol import Documents, Engine, Opened, Queries, Texts

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
