"""From files to texts and training examples: collections, queries, qrels, negatives, tokens."""

from splade.data.collection import Collection
from splade.data.collections import open_collection, open_queries
from splade.data.examples import ExampleSource, HardNegatives, Pairs, Texts, Triplets, TripletsWithTeacher
from splade.data.mixing import Mixed, mixed_from
from splade.data.negatives import iterate_scores, read_scores, write_scores
from splade.data.qrels import read_qrels
from splade.data.teachers import TeacherScores
from splade.data.tokenize import tokenize

__all__ = [
    "Collection",
    "ExampleSource",
    "HardNegatives",
    "Mixed",
    "Pairs",
    "TeacherScores",
    "Texts",
    "Triplets",
    "TripletsWithTeacher",
    "iterate_scores",
    "mixed_from",
    "open_collection",
    "open_queries",
    "read_qrels",
    "read_scores",
    "tokenize",
    "write_scores",
]
