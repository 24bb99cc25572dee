"""Judgements: which documents answer a query, and how well."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from splade.data.text_files.sources import PREFIX, downloading, ir_dataset, split_of
from splade.files import InputError, read_json, text_lines
from splade.records import Qrels

logger = logging.getLogger(__name__)

ACCEPTED = (
    "JSON {query: {document: grade}}, TREC lines (query, iteration, document, grade), tab-separated lines "
    "(query, document, grade), a BEIR folder with its split (FOLDER:test), or an ir_datasets id"
)


LARGEST_GRADE = 2**53  # up to here every whole number is a float of its own

# Column names that a header may have, lower case, with "-" for "_" and space.
QUERY = frozenset({"query-id", "query", "qid", "q-id", "topic", "topic-id"})
DOCUMENT = frozenset(
    {"corpus-id", "document-id", "document", "doc-id", "docid", "doc", "did", "docno", "passage-id", "pid"}
)
GRADE = frozenset({"score", "grade", "relevance", "rel", "label", "judgement", "judgment"})
ITERATION = frozenset({"iteration", "iter", "q0", "0", "unused"})
HEADERS = {3: (QUERY, DOCUMENT, GRADE), 4: (QUERY, ITERATION, DOCUMENT, GRADE)}


class Judgement(NamedTuple):
    """One line of a qrels file."""

    query: str
    document: str
    grade: int


def read_qrels(source: str | Path, *, split: str | None = None) -> Qrels:
    """The judgements that ``source`` names: a JSON, TREC or TSV file (``.gz`` too), a BEIR folder, an ir_datasets id.

    The split of a BEIR folder is given as ``split`` or as ``FOLDER:split``, and may be left out where the
    folder has only one. A pair judged twice alike is counted into one warning; judged twice differently it
    is an InputError, as are malformed lines and an empty file, with file and line.
    """
    folder, named = split_of(source)
    split = split or named
    path = Path(folder).expanduser()
    if path.is_dir():
        path = split_file(path, split)
    elif split is not None:
        raise InputError(f"{source}: not a folder with a qrels/{split}.tsv (relative paths start at {Path.cwd()})")
    if str(source).startswith(PREFIX) or not path.is_file():
        dataset = ir_dataset(str(source), "qrels", f"qrels: {ACCEPTED}")
        lines = ((0, Judgement(line.query_id, line.doc_id, int(line.relevance))) for line in dataset.qrels_iter())
        with downloading(str(source)):
            return _gathered(str(source), lines)
    if path.name.removesuffix(".gz").endswith(".json"):
        return _from_json(path)
    return _gathered(path, _judgements(path))


def split_file(folder: Path, split: str | None) -> Path:
    """The qrels of a split of a BEIR folder, ``.gz`` or not; None stands for the only one. InputError without it."""
    files = sorted(file for end in ("tsv", "tsv.gz") for file in (folder / "qrels").glob(f"*.{end}"))
    by_split = {file.name.removesuffix(".gz").removesuffix(".tsv"): file for file in reversed(files)}
    if split is None and len(by_split) == 1:
        return next(iter(by_split.values()))
    if split in by_split:
        return by_split[split]
    offered = ", ".join(sorted(by_split)) or "none"
    wanted = "say which split, as FOLDER:test" if split is None else f"no qrels/{split}.tsv"
    given = str(folder) if split is None else f"{folder}:{split}"
    raise InputError(f"{given}: {wanted}; the splits in its qrels folder: {offered}")


def _judgements(path: Path) -> Iterator[tuple[int, Judgement]]:
    """Line number and judgement of every line, after the header if there is one."""
    n_fields = 0
    for number, line in text_lines(path):
        fields = line.split("\t") if "\t" in line else line.split()
        if n_fields == 0 and len(fields) in HEADERS:
            n_fields = len(fields)
            if _is_header(fields):
                continue
        if len(fields) != n_fields or (n_fields == 3 and "\t" not in line):
            seen = f"{len(fields)} fields" if line.strip() else "a blank line"
            raise InputError.at(path, number, f"{seen} where a judgement is expected; accepted: {ACCEPTED}")
        try:
            grade = _grade(fields[-1])
        except ValueError as error:
            hint = "; a header names its columns, as query-id, corpus-id, score" if number == 1 else ""
            raise InputError.at(path, number, f"{error}{hint}") from error
        if not fields[0] or not fields[-2]:
            raise InputError.at(path, number, "an empty query or document id")
        yield number, Judgement(fields[0], fields[-2], grade)


def _is_header(fields: list[str]) -> bool:
    """True where every field is a name that a known layout has for its column."""
    names = [field.strip().strip('"').lower().replace("_", "-").replace(" ", "-") for field in fields]
    return all(name in known for name, known in zip(names, HEADERS[len(fields)], strict=True))


def _grade(field: str) -> int:
    """The whole number written as ``2`` or ``2.0``; ValueError says why there is none."""
    try:
        grade = int(field)
    except ValueError:
        try:
            whole = float(field)
        except ValueError:
            whole = math.nan
        if not whole.is_integer():
            raise ValueError(f"the grade must be a whole number, got {field!r}") from None
        grade = int(whole)
    if grade > LARGEST_GRADE:
        raise ValueError(f"the grade must be at most {LARGEST_GRADE}, got {field!r}")
    return grade


def _gathered(source: str | Path, lines: Iterator[tuple[int, Judgement]]) -> Qrels:
    qrels: Qrels = {}
    repeated = 0
    for number, (query, document, grade) in lines:
        grades = qrels.setdefault(query, {})
        if grades.setdefault(document, grade) != grade:
            problem = f"document {document!r} is judged {grade} for query {query!r}, but {grades[document]} before"
            raise InputError.at(source, number, problem) if number else InputError(f"{source}: {problem}")
        repeated += 1
    repeated -= sum(map(len, qrels.values()))
    if repeated:
        logger.warning("%s: %d judgements are there twice; one of each is kept", source, repeated)
    if not qrels:
        raise InputError(f"{source}: holds no judgements; accepted: {ACCEPTED}")
    return qrels


def _from_json(path: Path) -> Qrels:
    value = read_json(path)
    if not isinstance(value, dict) or not value:
        raise InputError(f"{path}: expected a JSON object {{query: {{document: grade}}}} with at least one query")
    return {query: _grades(path, query, grades) for query, grades in value.items()}


def _grades(path: Path, query: str, grades: Any) -> dict[str, int]:
    if not isinstance(grades, dict):
        raise InputError(f"{path}: the judgements of query {query!r} must be an object {{document: grade}}")
    for document, grade in grades.items():
        place = f"{path}: the grade of document {document!r} for query {query!r} must be"
        if isinstance(grade, bool) or not isinstance(grade, int | float) or grade != grade // 1:
            raise InputError(f"{place} a whole number, got {grade!r}")
        if grade > LARGEST_GRADE:
            raise InputError(f"{place} at most {LARGEST_GRADE}, got {grade!r}")
    return {document: int(grade) for document, grade in grades.items()}
