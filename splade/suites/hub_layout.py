"""NanoBEIR's sets as they lie on the hub: Parquet files in the folders corpus, queries and qrels of each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splade.data.collections.collection import Collection, collection_state, file_state
from splade.data.collections.readers import ReadTexts
from splade.data.text_files.formats import TEXT
from splade.files import InputError
from splade.records import Qrels, Text

FOLDERS = ("corpus", "queries", "qrels")


def is_hub_layout(folder: Path) -> bool:
    """True for a folder of these three with Parquet files."""
    return all(any((folder / name).glob("*.parquet")) for name in FOLDERS)


def hub_parts(folder: Path) -> tuple[Collection, Collection, Qrels, dict[str, Any]]:
    """Documents (their ``text`` alone), queries, judgements (1 each), and the state of the last two.

    All are held in memory. InputError for a part in several files, for missing columns, and without pyarrow.
    """
    corpus, queries, qrels = (_only(folder / name) for name in FOLDERS)
    documents, asked = _texts(corpus), _texts(queries)
    documents.titles = TEXT
    judged: Qrels = {}
    for row in _rows(qrels, ("query-id", "corpus-id")):
        judged.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = 1
    return (
        documents,
        asked,
        judged,
        {"queries": collection_state(asked), "qrels": {"file": str(qrels), **file_state(qrels)}},
    )


def _only(folder: Path) -> Path:
    files = sorted(folder.glob("*.parquet"))
    if len(files) > 1:
        raise InputError(f"{folder}: {len(files)} Parquet files where one is expected; put them into one")
    return files[0]


def _texts(path: Path) -> ReadTexts:
    return ReadTexts(
        str(path), lambda: (Text(str(row["_id"]), str(row["text"])) for row in _rows(path, ("_id", "text")))
    )


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(f"{path}: reading Parquet needs pyarrow: pip install 'splade[parquet]'") from error
    try:
        with ParquetFile(path) as file:
            lacking = [name for name in columns if name not in file.schema_arrow.names]
            if lacking:
                raise InputError(f"{path}: has no column {lacking[0]!r}, only {', '.join(file.schema_arrow.names)}")
            for batch in file.iter_batches(columns=list(columns)):
                yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from error
