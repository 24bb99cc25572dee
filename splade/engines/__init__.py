"""Where vectors live and are searched: one protocol, and one file for each place.

Read `protocol` first. `inverted` and `dense` are our own indexes, `bm25` the baseline that needs no model,
`conformance` the checks that hold any engine to the protocol.
"""

from splade.engines.bm25 import Bm25
from splade.engines.dense import Dense
from splade.engines.inverted import Inverted
from splade.engines.protocol import Documents, Engine, Opened, Queries, Texts

OWN: dict[str, type[Engine]] = {"inverted": Inverted, "dense": Dense, "bm25": Bm25}
"""The engines that keep a folder of their own on this machine, by the name that ``config.engine`` has for them."""

__all__ = ["OWN", "Bm25", "Dense", "Documents", "Engine", "Inverted", "Opened", "Queries", "Texts"]
