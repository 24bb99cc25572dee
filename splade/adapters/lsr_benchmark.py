"""Vectors, texts, rankings and data sets in the files of lsr-benchmark, without that package.

A folder of vectors holds ``doc/doc-embeddings.npz`` and ``query/query-embeddings.npz``, the arrays ``data``,
``indices`` and ``indptr`` of compressed rows, and ids beside each, one a line (``doc/doc-ids.txt``). A data set is
``corpus.jsonl.gz``, ``queries.jsonl`` and ``qrels.txt``; a run is ``run.txt.gz`` in TREC's columns. Their contestants
of both steps, encoders and engines, meet in these files: ``benchmarks/lsr_benchmark`` has ours.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.encoding import Encoder
from splade.files import InputError, text_lines, whole_file
from splade.kernels.sparse import from_csr
from splade.models import Retriever
from splade.records import Qrels, Ranking, SparseBatch, Text

SIDES = {"doc": "document", "query": "query"}
"""Their names of the sides, and ours."""


class Vectors(NamedTuple):
    """The vectors of a data set, documents and queries over the same columns."""

    documents: SparseBatch
    queries: SparseBatch
    terms: tuple[str, ...] | None  # what the columns stand for, where the files name terms rather than numbers


class _Arrays(NamedTuple):
    path: Path
    ids: tuple[str, ...]
    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    data: NDArray[Any]


def write_vectors(folder: str | Path, side: str, batch: SparseBatch) -> Path:
    """Write the vectors of one side, ``"doc"`` or ``"query"``; the folder of the side, ``folder/doc``.

    InputError for an id with a line break, which their list of ids cannot hold.
    """
    _known(side)
    for each in batch.ids:
        if len(each.splitlines()) != 1 or each != each.strip():
            raise InputError(
                f"the id {each!r} has a line break or white space around it; lsr-benchmark lists ids by line"
            )
    place = Path(folder) / side
    with whole_file(place / f"{side}-embeddings.npz", "wb") as stream:
        rows = batch.rows
        np.savez_compressed(stream, data=rows.weights, indices=rows.columns, indptr=rows.offsets)
    with whole_file(place / f"{side}-ids.txt") as stream:
        stream.write("\n".join(batch.ids))
    return place


def read_vectors(folder: str | Path) -> Vectors:
    """The vectors in ``folder``, of any contestant; InputError where the files do not fit, or weights are negative.

    Dense vectors have negative weights, and no inverted index holds them.
    """
    return _together(*(_arrays(Path(folder), side) for side in SIDES))


def vectors_of(documents: Iterable[Any], queries: Iterable[Any]) -> Vectors:
    """As `read_vectors`, of what ``lsr_benchmark.irds.embeddings`` returns: triples of an id, terms and weights."""
    return _together(*(_of_triples(name, rows) for name, rows in (("documents", documents), ("queries", queries))))


def read_texts(folder: str | Path, side: str) -> Iterator[Text]:
    """The documents (``"doc"``) or queries of a data set; InputError names file and line that cannot be read.

    Documents are their ``default_text``, which is not cut into segments.
    """
    name, id_field, text_field = (
        ("corpus.jsonl.gz", "doc_id", "default_text")
        if _known(side) == "document"
        else ("queries.jsonl", "qid", "query")
    )
    path = Path(folder) / name
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; a data set of lsr-benchmark has {name}")
    for number, line in text_lines(path):
        try:
            row = json.loads(line)
            yield Text(str(row[id_field]), str(row[text_field]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError.at(path, number, f"expected {{{id_field!r}: …, {text_field!r}: …}}: {error}") from error


def write_dataset(folder: str | Path, documents: Iterable[Text], queries: Iterable[Text], qrels: Qrels) -> None:
    """Write a data set of one's own, which ``--dataset FOLDER`` of their contestants takes.

    Each document is one segment. InputError for an id with white space, which their qrels and runs cannot hold.
    """
    folder = Path(folder)
    with whole_file(folder / "corpus.jsonl.gz") as lines:
        for doc_id, text in documents:
            segment = {"start": 1, "end": 2, "text": text}
            row = {"doc_id": _one_word(doc_id), "default_text": text, "segments": [segment]}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    with whole_file(folder / "queries.jsonl") as stream:
        for query_id, text in queries:
            stream.write(json.dumps({"qid": _one_word(query_id), "query": text}, ensure_ascii=False) + "\n")
    with whole_file(folder / "qrels.txt") as stream:
        for query_id, grades in qrels.items():
            for doc_id, grade in grades.items():
                stream.write(f"{_one_word(query_id)} 0 {_one_word(doc_id)} {grade}\n")


def write_run(folder: str | Path, rankings: Iterable[Ranking], tag: str = "splade") -> Path:
    """Write ``run.txt.gz`` as their contestants do: TREC's columns, best first, ranks from 1."""
    path = Path(folder) / "run.txt.gz"
    with whole_file(path) as lines:
        for query_id, doc_ids, scores in rankings:
            for rank, (doc_id, score) in enumerate(zip(doc_ids, scores.tolist(), strict=True), 1):
                lines.write(f"{query_id} Q0 {doc_id} {rank} {score!r} {tag}\n")
    return path


def encode_texts(model: Retriever, texts: Iterable[Text], side: str, **encoding: Any) -> SparseBatch:
    """The vectors of the texts of a side; ``encoding`` as for :class:`splade.encoding.Encoder`."""
    return Encoder(model, _known(side), **encoding).encode_all(texts)


def _arrays(folder: Path, side: str) -> _Arrays:
    path, names = folder / side / f"{side}-embeddings.npz", folder / side / f"{side}-ids.txt"
    for each in (path, names):
        if not each.is_file():
            raise InputError(f"{each}: there is no such file; vectors of lsr-benchmark are in doc/ and query/")
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in ("indptr", "indices", "data")}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not vectors of lsr-benchmark (data, indices, indptr): {error}") from error
    ids = tuple(names.read_text(encoding="utf-8").strip().split("\n"))
    ids = ids if ids != ("",) else ()
    # an encoder that counts the rows of its entries writes none for empty vectors at the end
    indptr = arrays["indptr"].astype(np.int64)
    missing = len(ids) + 1 - len(indptr)
    if missing < 0:
        raise InputError(f"{path}: {len(indptr) - 1} vectors, and {len(ids)} ids in {names.name}")
    indptr = np.concatenate([indptr, np.full(missing, len(arrays["data"]), np.int64)])
    return _Arrays(path, ids, indptr, arrays["indices"], arrays["data"])


def _of_triples(name: str, rows: Iterable[Any]) -> _Arrays:
    listed = list(rows)
    indptr = np.cumsum([0, *(len(row[1]) for row in listed)], dtype=np.int64)
    indices = np.concatenate([np.asarray(row[1]) for row in listed]) if listed else np.zeros(0, str)
    data = np.concatenate([np.asarray(row[2]) for row in listed]) if listed else np.zeros(0, np.float32)
    return _Arrays(Path(name), tuple(row[0] for row in listed), indptr, indices, data)


def _together(documents: _Arrays, queries: _Arrays) -> Vectors:
    """Both sides over the same columns: the numbers in the files, or those of the terms in them."""
    if all(each.indices.dtype.kind in "iu" for each in (documents, queries)):
        width = 1 + max((int(each.indices.max()) for each in (documents, queries) if each.indices.size), default=0)
        return Vectors(_batch(documents, documents.indices, width), _batch(queries, queries.indices, width), None)
    both = np.concatenate([documents.indices.astype(str), queries.indices.astype(str)])
    terms, columns = np.unique(both, return_inverse=True)
    cut, width = len(documents.indices), max(len(terms), 1)
    of_documents, of_queries = _batch(documents, columns[:cut], width), _batch(queries, columns[cut:], width)
    return Vectors(of_documents, of_queries, tuple(terms.tolist()))


def _batch(arrays: _Arrays, columns: NDArray[Any], width: int) -> SparseBatch:
    try:
        rows = from_csr(arrays.indptr, columns, arrays.data, width)
    except ValueError as error:
        raise InputError(f"{arrays.path}: {error}. Dense vectors are no contestants of an inverted index") from error
    return SparseBatch(arrays.ids, rows, width)


def _known(side: str) -> str:
    if side not in SIDES:
        raise ValueError(f"side must be {' or '.join(map(repr, SIDES))}, got {side!r}")
    return SIDES[side]


def _one_word(name: str) -> str:
    if len(name.split()) != 1:
        raise InputError(f"the id {name!r} holds white space, which lsr-benchmark puts between columns; rename it")
    return name
