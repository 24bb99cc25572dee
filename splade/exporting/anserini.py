"""Documents and queries for Anserini (Lucene): whole-number impacts, terms as words.

Documents are JSON lines ``{"id", "content", "vector": {token: int}}`` for its JsonVectorCollection,
queries ``id<TAB>token token …``, each token as often as its weight, for its TSV topics; both are to be
read with ``-pretokenized`` and ``-impact``. An empty pseudo-document would be left out of the index and an empty
query breaks the topic reader, so either is given one word that nothing else has: it is kept and
never matches.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.lines import Layout, parse_line
from splade.exporting.target import Documents, FileTarget, Written
from splade.exporting.vectors import Entry, batches
from splade.files import InputError, text_lines, whole_file
from splade.records import SparseBatch

NO_DOCUMENT_TERMS = "[no_document_terms]"
NO_QUERY_TERMS = "[no_query_terms]"
LONGEST_WORD = 255  # characters; Lucene's white-space tokenizer splits longer ones


class Anserini(FileTarget):
    """The `FileTarget` of ``docs_anserini.jsonl`` and ``queries_anserini.tsv``.

    An impact is the whole number nearest to a weight times the factor of its side. InputError for a factor that is not
    a number above 0. ``shard_docs`` and ``gzip`` as in `splade.exporting.lines.Layout`, for documents.
    """

    def __init__(
        self,
        quantization_factor_document: float = 100,
        quantization_factor_query: float = 100,
        shard_docs: int | None = None,
        gzip: bool = False,
    ) -> None:
        self.document_factor = checked_factor("quantization_factor_document", quantization_factor_document)
        self.query_factor = checked_factor("quantization_factor_query", quantization_factor_query)
        self.layout = Layout(shard_docs, gzip).checked()

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights as whole impacts, divided by the factor again."""
        factor = self._factor_of(side)
        return (rounded(weights, factor) / factor).astype(np.float32)

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``docs_anserini.jsonl`` into ``folder``."""
        empty = [0]

        def line(document: tuple[str, dict[str, int], str]) -> Iterator[str]:
            doc_id, vector, text = document
            record = {"id": doc_id, "content": text, "vector": vector or {NO_DOCUMENT_TERMS: 1}}
            yield json.dumps(record, ensure_ascii=False)

        def counted() -> Iterator[tuple[str, dict[str, int], str]]:
            for batch, texts in documents:
                for (doc_id, vector), text in zip(impacts(batch, words, self.document_factor), texts, strict=True):
                    empty[0] += not vector
                    yield doc_id, vector, text

        n_texts = self.layout.write(folder, "docs_anserini", ".jsonl", counted(), line, self.resuming)
        return Written(n_texts, empty[0])

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries_anserini.tsv`` into ``folder``."""
        return write_queries(folder / "queries_anserini.tsv", queries, words, self.query_factor)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of ``docs_anserini.jsonl``; InputError for impacts and terms that Lucene would not find."""
        numbers = {word: number for number, word in enumerate(words)}

        def read() -> Iterator[Entry]:
            for path, line, text in self.layout.read(folder, "docs_anserini", ".jsonl"):
                record = parse_line(path, line, text, ("id", "content", "vector"))
                vector = {} if record["vector"] == {NO_DOCUMENT_TERMS: 1} else record["vector"]
                yield record["id"], *self._entries(path, line, vector, numbers, "document")

        return batches(read(), len(words))

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries_anserini.tsv``."""
        numbers, path = {word: number for number, word in enumerate(words)}, folder / "queries_anserini.tsv"

        def read() -> Iterator[Entry]:
            for line, text in text_lines(path):
                query_id, tab, repeated = text.partition("\t")
                if not tab:
                    raise InputError.at(path, line, "no tab: a line is QUERY_ID<TAB>WORD WORD …")
                vector = {} if repeated == NO_QUERY_TERMS else Counter(repeated.split(" "))
                yield query_id, *self._entries(path, line, vector, numbers, "query")

        return batches(read(), len(words))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        factors = f"{self.document_factor:g} for documents, {self.query_factor:g} for queries"
        names = "docs_anserini*.jsonl" + (".gz" if self.layout.gzip else "")
        return {
            "quantization": f"rint(weight x factor), factors {factors}; impacts of 0 are left out",
            "load": [
                f"mkdir collection && cp {names} collection/",
                "bin/run.sh io.anserini.index.IndexCollection -collection JsonVectorCollection -input collection "
                "-index lucene -generator DefaultLuceneDocumentGenerator -impact -pretokenized -threads 8",
                "bin/run.sh io.anserini.search.SearchCollection -index lucene -topics queries_anserini.tsv "
                "-topicReader TsvString -output run.trec -impact -pretokenized -hits 1000",
            ],
            "scores": f"{self.document_factor * self.query_factor:g} times ours, but for rounding; whole numbers",
        }

    def _entries(
        self, path: Path, line: int, vector: Mapping[str, int], numbers: Mapping[str, int], side: str
    ) -> tuple[list[int], list[float]]:
        for word, impact in vector.items():
            if word not in numbers:
                raise InputError.at(path, line, f"{word!r} is no word of terms.txt")
            if type(impact) is not int or impact < 1:
                raise InputError.at(path, line, f"the impact of {word!r} is {impact!r}, not a whole number above 0")
        factor = self._factor_of(side)
        weights = np.array(list(vector.values()), np.float64) / factor
        return [numbers[word] for word in vector], weights.astype(np.float32).tolist()

    def _factor_of(self, side: str) -> float:
        return self.document_factor if side == "document" else self.query_factor


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
    whole = rounded(batch.rows.weights, factor)
    columns, offsets = batch.rows.columns, batch.rows.offsets
    for row, text_id in enumerate(batch.ids):
        entries = slice(offsets[row], offsets[row + 1])
        pairs = zip(columns[entries].tolist(), whole[entries].tolist(), strict=True)
        yield text_id, {words[term]: impact for term, impact in pairs if impact}


def rounded(weights: NDArray[np.float32], factor: float) -> NDArray[np.int64]:
    """The whole number nearest to each weight times ``factor``, half-way cases to the even one."""
    return np.rint(weights.astype(np.float64) * factor).astype(np.int64)


def checked_factor(name: str, factor: object) -> float:
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        raise InputError(f"{name}={factor!r}: expected a number above 0; append +{name}=100 to the command")
    return float(factor)
