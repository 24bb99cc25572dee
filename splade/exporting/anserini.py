"""Documents and queries for Anserini (Lucene): whole-number impacts, terms as words.

Documents are JSON lines ``{"id", "content", "vector": {token: int}}`` for its JsonVectorCollection,
queries ``id<TAB>token token …``, each token as often as its weight, for its TSV topics; both are to be
read with ``-pretokenized`` and ``-impact``. An empty pseudo-document would be left out of the index and an empty
query breaks the topic reader, so either is given one word that nothing else has: it is kept and
never matches.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from splade.files import InputError, whole_file
from splade.records import SparseBatch

NO_DOCUMENT_TERMS = "[no_document_terms]"
NO_QUERY_TERMS = "[no_query_terms]"
LONGEST_WORD = 255  # characters; Lucene's white-space tokenizer splits longer ones


class Written(NamedTuple):
    """Counts of the written texts, and of those without a term left."""

    n_texts: int
    n_empty: int


def term_words(tokens: Sequence[str | None], vocab_size: int) -> list[str]:
    """One distinct word without white space per term id, for documents and queries alike.

    A term is called by its token, or by the stand-in ``[term_<id>]``: for a token that is missing, empty, too long
    for Lucene, contains white space, is taken, or could be taken for a stand-in.
    """
    words: list[str] = []
    taken = {NO_DOCUMENT_TERMS, NO_QUERY_TERMS}
    for term in range(vocab_size):
        word = tokens[term] if term < len(tokens) else None
        if word is None or word in taken or not _is_word(word):
            word = f"[term_{term}]"
        taken.add(word)
        words.append(word)
    return words


def _is_word(token: str) -> bool:
    return 0 < len(token) <= LONGEST_WORD and token.split() == [token] and not token.startswith("[term_")


def write_documents(
    path: str | Path, documents: Iterable[tuple[SparseBatch, Sequence[str]]], words: Sequence[str], factor: float
) -> Written:
    """Write batches of document vectors with their texts as JSON lines; the file is whole or absent."""
    n_texts = n_empty = 0
    with whole_file(path) as stream:
        for batch, texts in documents:
            for (doc_id, vector), text in zip(impacts(batch, words, factor), texts, strict=True):
                n_texts += 1
                n_empty += not vector
                record = {"id": doc_id, "content": text, "vector": vector or {NO_DOCUMENT_TERMS: 1}}
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    return Written(n_texts, n_empty)


def write_queries(path: str | Path, queries: Iterable[SparseBatch], words: Sequence[str], factor: float) -> Written:
    """Write batches of query vectors as ``id<TAB>`` and repeated tokens; the file is whole or absent."""
    n_texts = n_empty = 0
    with whole_file(path) as stream:
        for batch in queries:
            for query_id, vector in impacts(batch, words, factor):
                if len(query_id.splitlines()) != 1 or "\t" in query_id:
                    raise InputError(f"the query id {query_id!r} has a tab or line end; {path} has one query a line")
                n_texts += 1
                n_empty += not vector
                repeated = " ".join(word for word, count in vector.items() for _ in range(count))
                stream.write(f"{query_id}\t{repeated or NO_QUERY_TERMS}\n")
    return Written(n_texts, n_empty)


def impacts(batch: SparseBatch, words: Sequence[str], factor: float) -> Iterator[tuple[str, dict[str, int]]]:
    """Id and ``{token: rint(weight * factor)}`` of each text of ``batch``, without zeros.

    Half-way cases go to the even number; ``factor`` must be above 0.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ValueError(f"the quantization factor must be a number above 0, got {factor!r}")
    rounded = np.rint(batch.rows.weights.astype(np.float64) * factor).astype(np.int64)
    columns, offsets = batch.rows.columns, batch.rows.offsets
    for row, text_id in enumerate(batch.ids):
        entries = slice(offsets[row], offsets[row + 1])
        pairs = zip(columns[entries].tolist(), rounded[entries].tolist(), strict=True)
        yield text_id, {words[term]: impact for term, impact in pairs if impact}
