"""From document vectors to a stored inverted index."""

from splade.indexing.builder import IndexBuilder
from splade.indexing.doc_ids import DocIds
from splade.indexing.inverted_index import InvertedIndex
from splade.indexing.storage import CorruptIndexError

__all__ = ["CorruptIndexError", "DocIds", "IndexBuilder", "InvertedIndex"]
