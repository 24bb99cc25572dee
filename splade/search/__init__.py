"""Searching an index."""

from splade.search.searcher import Searcher

__all__ = ["Searcher"]
