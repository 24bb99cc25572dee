"""Learned sparse retrieval: from text to sparse vectors, an inverted index, and rankings.

``from splade import InvertedIndex, Searcher`` loads neither torch nor Hydra. Importing does nothing; where Python has
been told to run a command, ``python -m splade.train``, this file is where the command begins, and it chooses its
threads here, since the next file loads torch.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from splade.threads import settle, starts_command

if TYPE_CHECKING:
    from splade.indexing import IndexBuilder, InvertedIndex
    from splade.records import Example, Ranking, SparseBatch, SparseRows, Text
    from splade.search import Searcher

__version__ = "0.1.0"
__all__ = ["Example", "IndexBuilder", "InvertedIndex", "Ranking", "Searcher", "SparseBatch", "SparseRows", "Text"]

if starts_command(sys.argv, sys.orig_argv):
    settle(os.environ)

_HOMES = {
    "InvertedIndex": "splade.indexing",
    "IndexBuilder": "splade.indexing",
    "Searcher": "splade.search",
    **dict.fromkeys(("Example", "Ranking", "SparseBatch", "SparseRows", "Text"), "splade.records"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'splade' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
