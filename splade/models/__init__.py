"""Retrievers: from token ids to the weights of every vocabulary term.

``load_retriever(folder)`` opens what was trained or published; the classes start from a masked language
model. Every retriever has a query side and a document side, and may use one encoder for both.
"""

from splade.models.checkpoint import load_retriever
from splade.models.kinds import Dense, Splade, SpladeDoc, SpladeLexical, SpladeTopK
from splade.models.retriever import SparseRetriever

__all__ = ["Dense", "SparseRetriever", "Splade", "SpladeDoc", "SpladeLexical", "SpladeTopK", "load_retriever"]
