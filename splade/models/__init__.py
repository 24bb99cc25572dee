"""Retrievers: from token ids to the weights of every vocabulary term.

``load_retriever(folder)`` opens what was trained or published; the classes start from a masked language
model. Every retriever has a query side and a document side, and may use one encoder for both.
"""

from splade.models.retrievers.base import Retriever
from splade.models.retrievers.bm25 import SpladeBm25
from splade.models.retrievers.dense import Dense, DenseRetriever
from splade.models.retrievers.inference_free import SpladeDoc, SpladeIdf, SpladeTable
from splade.models.retrievers.mlp_queries import SpladeMlp
from splade.models.retrievers.sparse import SparseRetriever
from splade.models.retrievers.splade import Splade, SpladeLexical, SpladeTopK
from splade.models.saving.checkpoint import load_retriever, save_retriever

__all__ = [
    "Dense",
    "DenseRetriever",
    "Retriever",
    "SparseRetriever",
    "Splade",
    "SpladeBm25",
    "SpladeDoc",
    "SpladeIdf",
    "SpladeLexical",
    "SpladeMlp",
    "SpladeTable",
    "SpladeTopK",
    "load_retriever",
    "save_retriever",
]
