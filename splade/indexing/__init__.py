"""From document vectors to a stored inverted index."""

from splade.indexing.builder import IndexBuilder
from splade.indexing.doc_ids import DocIds
from splade.indexing.inverted_index import Index, InvertedIndex
from splade.indexing.segmented import SegmentedIndex
from splade.indexing.storage import CorruptIndexError
from splade.indexing.updates import IndexAppender, delete, merge
from splade.indexing.vocabulary import Vocabulary

__all__ = [
    "CorruptIndexError",
    "DocIds",
    "Index",
    "IndexAppender",
    "IndexBuilder",
    "InvertedIndex",
    "SegmentedIndex",
    "Vocabulary",
    "delete",
    "merge",
]
