"""Candidate documents of training queries with a teacher's scores: {query: {document: score}}.

Read from JSON lines (our own format: safe, streamed), a pickle of plain values, JSON or a TREC run, all ``.gz`` or
not, and from Parquet. Ids become strings.
"""

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from splade.data.score_files.parquet import parquet_groups
from splade.data.score_files.pickles import read_pickle
from splade.data.text_files.formats import json_object
from splade.data.text_files.lines import LineFile
from splade.data.text_files.sources import needed_file
from splade.files import InputError, open_binary, read_json, whole_file

Scores = dict[str, dict[str, float]]

SCORE_FILES = ("scores.jsonl", "scores.jsonl.gz", "scores.pkl.gz", "scores.pkl")


def read_scores(path: str | Path) -> Scores:
    """All scores of a file as {query: {document: score}}; see ``iterate_scores``."""
    return dict(iterate_scores(path))


def iterate_scores(path: str | Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Query id and its scored documents, one query at a time, in the order of the file.

    The kind of file goes by its name (``.jsonl``, ``.json``, ``.pkl`` or ``.pickle``, each with or without
    ``.gz``, and ``.parquet``); under another name a pickle is known by its first byte, and the rest are TREC runs.
    JSON lines, TREC runs and Parquet are streamed. A pickle or JSON file may also give a query's documents as a list
    of (document, score). Raises InputError: malformed lines, repeated queries or documents, scores that are not
    finite numbers.
    """
    file = needed_file(path, SCORE_FILES, "scored documents")
    suffix = Path(file.name.removesuffix(".gz")).suffix
    if suffix not in (".jsonl", ".json") and _starts_as_pickle(file):
        suffix = ".pkl"
    if suffix == ".jsonl":
        entries = _json_lines(file)
    elif suffix in (".pkl", ".pickle"):
        entries = _entries(file, read_pickle(file))
    elif suffix == ".json":
        entries = _entries(file, read_json(file))
    elif suffix == ".parquet":
        entries = ((place, query, _scored(place, pairs)) for place, query, pairs in parquet_groups(file))
    else:
        entries = _trec_run(file)
    seen: set[str] = set()
    for place, query, scores in entries:
        if query in seen:
            raise InputError(f"{place}: query {query!r} is there twice; give each query once, with all its documents")
        seen.add(query)
        yield query, scores
    if not seen:
        raise InputError(f"{file}: holds no scores")


def write_scores(path: str | Path, scores: Mapping[str, Mapping[str, float]] | Iterable[tuple[str, Any]]) -> None:
    """Write scores as JSON lines ``{"query_id": …, "scores": {document: score}}``, whole or not at all.

    ``path`` ends in ``.jsonl`` or ``.jsonl.gz``, so that it can be read back.
    """
    if not Path(path).name.removesuffix(".gz").endswith(".jsonl"):
        raise InputError(f"{path}: scores are written as .jsonl or .jsonl.gz")
    entries = scores.items() if isinstance(scores, Mapping) else scores
    with whole_file(path) as stream:
        for query, documents in entries:
            stream.write(score_line(query, documents))


def score_line(query: str, documents: Mapping[str, float]) -> str:
    """One line of the JSON lines, with its end."""
    record = {"query_id": query, "scores": dict(documents)}
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def convert_scores(source: str | Path, target: str | Path) -> tuple[int, int]:
    """Write the scores of any readable file as JSON lines; returns how many queries and documents."""
    n_queries = n_documents = 0

    def counted() -> Iterator[tuple[str, dict[str, float]]]:
        nonlocal n_queries, n_documents
        for query, scores in iterate_scores(source):
            n_queries, n_documents = n_queries + 1, n_documents + len(scores)
            yield query, scores

    write_scores(target, counted())
    return n_queries, n_documents


def _starts_as_pickle(path: Path) -> bool:
    """True if the first byte is a pickle's; no text begins with it."""
    with open_binary(path) as stream:
        try:
            return stream.read(1) == b"\x80"
        except (EOFError, OSError, zlib.error):  # a damaged gzip file; its reader says so with the line
            return False


def _json_lines(path: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    for chunk in LineFile(path).chunks():
        for number, line in enumerate(chunk.lines(), chunk.first_line):
            place = f"{path}:{number}"
            try:
                record = json_object(line)
            except ValueError as error:
                raise InputError.at(path, number, str(error) if line.strip() else "blank line; remove it") from error
            if "query_id" not in record or "scores" not in record:
                raise InputError.at(path, number, 'a line is {"query_id": …, "scores": {document: score}}')
            yield place, identifier(place, record["query_id"]), _scored(place, record["scores"])


def _entries(path: Path, value: Any) -> Iterator[tuple[str, str, dict[str, float]]]:
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected {{query: {{document: score}}}}, got a {type(value).__name__}")
    for key, documents in value.items():
        query = identifier(str(path), key)
        yield str(path), query, _scored(f"{path}: query {query!r}", documents)


def _trec_run(path: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Runs list the documents of a query together; a query that comes back later counts as repeated."""

    def fields() -> Iterator[tuple[int, list[str]]]:
        for chunk in LineFile(path).chunks():
            for number, line in enumerate(chunk.lines(), chunk.first_line):
                parts = line.decode("utf-8").split()
                if len(parts) != 6:
                    raise InputError.at(
                        path, number, f"{len(parts)} fields where a run has 6: query Q0 document rank score tag "
                        "(other kinds of file are known by .jsonl, .json or .pkl)"
                    )  # fmt: skip
                yield number, parts

    for query, group in groupby(fields(), key=lambda entry: entry[1][0]):
        pairs: list[tuple[str, Any]] = []
        place = str(path)
        for number, (_, _, document, _, score, _) in group:
            place = f"{path}:{number}"
            try:
                pairs.append((document, float(score)))
            except ValueError as error:
                raise InputError(f"{place}: the score must be a number, got {score!r}") from error
        yield place, query, _scored(place, pairs)


def _scored(place: str, documents: Any) -> dict[str, float]:
    pairs = list(documents.items()) if isinstance(documents, dict) else documents
    if not isinstance(pairs, list | tuple):
        raise InputError(f"{place}: expected {{document: score}}, got a {type(documents).__name__}")
    scores: dict[str, float] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InputError(f"{place}: expected (document, score), got {str(pair)[:60]!r}")
        document, score = identifier(place, pair[0]), pair[1]
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise InputError(f"{place}: the score of document {document!r} must be a finite number, got {score!r}")
        if document in scores:
            raise InputError(f"{place}: document {document!r} is there twice")
        scores[document] = float(score)
    return scores


def identifier(place: str, value: Any) -> str:
    """An id as a string; InputError, which names ``place``, where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InputError(f"{place}: an id must be a non-empty string or a whole number, got {value!r}")
    return str(value)
