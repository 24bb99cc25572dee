"""From files to texts and training examples: collections, queries, qrels, negatives, tokens."""

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.examples.examples import ExampleSource, HardNegatives, Pairs, Texts, Triplets, TripletsWithTeacher
from splade.data.examples.mixing import Mixed, mixed_from
from splade.data.qrels import read_qrels
from splade.data.score_files.negatives import iterate_scores, read_scores, write_scores
from splade.data.score_files.teachers import TeacherScores
from splade.data.tokens.tokenize import tokenize

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
