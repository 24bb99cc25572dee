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

import numpy as np

from splade.exporting.target import Written
from splade.files import InputError, whole_file
from splade.records import SparseBatch

NO_DOCUMENT_TERMS = "[no_document_terms]"
NO_QUERY_TERMS = "[no_query_terms]"
LONGEST_WORD = 255  # characters; Lucene's white-space tokenizer splits longer ones


class Anserini:
    """The `ExportTarget` of ``docs_anserini.jsonl`` and ``queries_anserini.tsv``.

    An impact is the whole number nearest to a weight times the factor of its side. InputError for a factor that is not
    a number above 0.
    """

    def __init__(self, quantization_factor_document: float = 100, quantization_factor_query: float = 100) -> None:
        self.document_factor = _factor("quantization_factor_document", quantization_factor_document)
        self.query_factor = _factor("quantization_factor_query", quantization_factor_query)

    def write_documents(
        self, folder: Path, documents: Iterable[tuple[SparseBatch, Sequence[str]]], words: Sequence[str]
    ) -> Written:
        """Write ``docs_anserini.jsonl`` into ``folder``."""
        return write_documents(folder / "docs_anserini.jsonl", documents, words, self.document_factor)

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries_anserini.tsv`` into ``folder``."""
        return write_queries(folder / "queries_anserini.tsv", queries, words, self.query_factor)


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


def _factor(name: str, factor: object) -> float:
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        raise InputError(f"{name}={factor!r}: expected a number above 0; append +{name}=100 to the command")
    return float(factor)
