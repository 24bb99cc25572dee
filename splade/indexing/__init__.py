"""From document vectors to a stored inverted index."""

from splade.indexing.building.builder import IndexBuilder
from splade.indexing.building.updates import IndexAppender, delete, merge
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.storage import CorruptIndexError
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.index.inverted_index import Index, InvertedIndex
from splade.indexing.index.scored_terms import ScoredTerms
from splade.indexing.index.segmented import SegmentedIndex

__all__ = [
    "CorruptIndexError",
    "DocIds",
    "Index",
    "IndexAppender",
    "IndexBuilder",
    "InvertedIndex",
    "ScoredTerms",
    "SegmentedIndex",
    "Vocabulary",
    "delete",
    "merge",
]
