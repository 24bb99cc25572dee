"""The types that travel between the rooms of the project.

One type stands on each arrow of the pipeline: texts become token batches, sparse vectors, an
index, rankings and metrics. Everything here is plain: the standard library and NumPy.

Letters: ``B`` texts in a batch, ``L`` token positions, ``V`` vocabulary terms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Run = dict[str, dict[str, float]]
"""Scores by query id and document id, as ``run.json`` holds them."""

Qrels = dict[str, dict[str, int]]
"""Judgements by query id and document id; above 0 is relevant, larger is better."""

SIDES = ("query", "document")
"""The two sides of a retriever."""


class Text(NamedTuple):
    """A query or a document: an opaque string id and its text."""

    id: str
    text: str


class TokenBatch(NamedTuple):
    """``B`` tokenised texts, padded on the right to the longest, in the order they came."""

    ids: tuple[str, ...]
    input_ids: NDArray[np.int64]  # [B, L]
    attention_mask: NDArray[np.int64]  # [B, L], 1 for a token, 0 for padding
    n_cut: int = 0  # texts of which less was read than there is


class SparseRows(NamedTuple):
    """``len(offsets) - 1`` sparse rows; row r owns entries ``offsets[r]:offsets[r + 1]``.

    One layout for documents and queries (rows are texts, columns terms) and for postings, the
    documents transposed (rows are terms, columns document numbers).
    """

    offsets: NDArray[np.int64]  # [rows + 1], non-decreasing, offsets[0] == 0
    columns: NDArray[np.int32]  # [entries], strictly increasing within a row
    weights: NDArray[np.float32]  # [entries], finite, > 0


class TextTokens(NamedTuple):
    """The ``L`` tokens that are read of one text, and where in the text each of them stands.

    A token of the prompt, a special one such as [CLS], and any token whose place is not known has no characters.
    """

    input_ids: NDArray[np.int64]  # [L]
    spans: NDArray[np.int64]  # [L, 2], first character and the one after the last, counted in the text; -1: none
    own: NDArray[np.bool_]  # [L], True for tokens of the text itself: neither special nor of the prompt


class Source(NamedTuple):
    """The weights that one part of a model gives some terms at each position of one text.

    A term's weight is their maximum or sum over positions (``pooling``), summed over the sources of the text.
    """

    name: str  # "head", "own tokens" or "bm25"
    pooling: str  # "max" or "sum"
    weights: NDArray[np.float32]  # [L, T] >= 0, of T terms; 0 at positions that take no part


class Provenance(NamedTuple):
    """The tokens of a text, and what each of them gave to its terms."""

    tokens: TextTokens
    sources: tuple[Source, ...]  # empty where the model does not tell


class SparseBatch(NamedTuple):
    """Sparse vectors with their ids: the border between torch and NumPy."""

    ids: tuple[str, ...]
    rows: SparseRows  # one row per id; columns are term ids below vocab_size
    vocab_size: int


class Ranking(NamedTuple):
    """The answer to one query, best first; ties by document number; may be empty."""

    query_id: str
    doc_ids: Sequence[str]
    scores: NDArray[np.float32]  # [len(doc_ids)], non-increasing


class Answers(NamedTuple):
    """The documents of a collection that are no negatives of a query, by their numbers in it.

    ``listed`` are the numbers of an example's own documents, in their order: other queries' documents are known by
    theirs. ``judged`` are all that answer the query, whether the example lists them or not.
    """

    collection: str  # equal for the same documents; numbers of different collections say nothing of each other
    listed: tuple[int, ...]
    judged: tuple[int, ...]


class Example(NamedTuple):
    """One unit of supervision: a query, its positive document first, then negatives.

    ``teacher`` holds one score per document, or None where there is no teacher. ``answers`` is None where nothing is
    known beside the example itself.
    """

    query: Text
    documents: tuple[Text, ...]
    teacher: tuple[float, ...] | None = None
    answers: Answers | None = None
