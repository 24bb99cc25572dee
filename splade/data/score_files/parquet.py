"""Scored documents in Parquet files, for which ``pyarrow`` must be installed."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from splade.files import InputError

QUERY = ("query_id", "qid", "query-id")
DOCUMENT = ("doc_id", "document_id", "pid", "corpus-id")
DOCUMENTS = ("doc_ids", "document_ids", "pids", "corpus-ids")
SCORE, SCORES = ("score", "teacher_score"), ("scores", "teacher_scores", "labels")
BATCH = 4096  # rows read at a time


def parquet_groups(path: Path) -> Iterator[tuple[str, Any, list[tuple[Any, Any]]]]:
    """Place, query id and (document, score) pairs, query by query.

    A row is a query with lists (``query_id``, ``doc_ids``, ``scores``), or one document of a query (``query_id``,
    ``doc_id``, ``score``), those of a query together. InputError for other columns, or without ``pyarrow``.
    """
    stored = _opened(path)
    names = stored.schema_arrow.names
    query, ids, scores = (_among(names, kind) for kind in (QUERY, DOCUMENTS, SCORES))
    if query and ids and scores:
        for number, (id, documents, values) in enumerate(_rows(stored, [query, ids, scores])):
            place = f"{path}: row {number}"
            if len(documents or ()) != len(values or ()):
                raise InputError(f"{place}: {len(documents or ())} documents and {len(values or ())} scores")
            yield place, str(id), list(zip(documents or (), values or (), strict=True))
        return
    document, score = _among(names, DOCUMENT), _among(names, SCORE)
    if not (query and document and score):
        raise InputError(
            f"{path}: expected the columns query_id, doc_ids and scores (lists), or query_id, doc_id and score; it has "
            f"{', '.join(names)}"
        )
    for id, rows in groupby(_rows(stored, [query, document, score]), key=lambda row: row[0]):
        yield f"{path}: query {id!r}", str(id), [(document_id, value) for _, document_id, value in rows]


def _opened(path: Path) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(
            f"{path}: reading Parquet needs pyarrow: pip install 'splade[parquet]', or convert the file to JSON lines"
        ) from error
    try:
        return ParquetFile(path)
    except ArrowException as error:
        raise InputError(f"{path}: not a Parquet file that can be read: {error}") from error


def _rows(stored: Any, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in stored.iter_batches(batch_size=BATCH, columns=columns):
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def _among(names: Sequence[str], accepted: Sequence[str]) -> str | None:
    return next((name for name in accepted if name in names), None)
