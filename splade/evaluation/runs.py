"""Runs on disk: ``run.json`` ({query: {document: score}}) and TREC's six columns.

Both keep the order of a ranking: scores are written with every digit they have, results best first,
so that a reader that sorts by score and leaves ties alone finds the ranking as it was.
"""

import json
import logging
import math
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from splade.evaluation.metrics import ordered
from splade.files import BYTE_ORDER_MARK, InputError, open_binary, read_json, text_lines, whole_file
from splade.records import Ranking, Run

logger = logging.getLogger(__name__)

RUNS = ("run.json", "run.trec")
"""The names of a run in a result folder."""


def read_run(path: str | Path) -> Run:
    """The run in a JSON or TREC file, gzipped or not; results in the order written.

    A file that starts with ``{`` is read as JSON {query: {document: score}}, another one as TREC
    ``query Q0 document rank score tag``; the rank column is not used. Raises InputError with file and
    line (with file and query for JSON) for wrong columns, numbers and duplicates.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such run file")
    return _read_json(path) if _is_json(path) else _read_trec(path)


def run_at(path: str | Path) -> Run:
    """The run in a file, as `read_run` has it, or in a result folder; InputError where the folder has none."""
    path = Path(path)
    if not path.is_dir():
        return read_run(path)
    for name in RUNS:
        if (path / name).is_file():
            return read_run(path / name)
    raise InputError(f"{path}: there is no {' or '.join(RUNS)}")


def cut_run(run: Run, top_k: int | None) -> Run:
    """The ``top_k`` best results of each query, in the order of the run; the run itself for None."""
    if top_k is None:
        return run
    return {query: {doc: found[doc] for doc in ordered(found)[:top_k]} for query, found in run.items()}


def write_run_file(path: str | Path, run: Run, tag: str = "splade") -> None:
    """Write ``run`` as TREC or as JSON, as the name of ``path`` says, whole or not at all.

    InputError for another ending than ``.trec`` and ``.json``, packed (``.gz``) or not, and for TREC where an id
    contains white space.
    """
    if check_run_name(path) == ".json":
        _write_json(Path(path), run)
        return
    broken = _id_with_space(run)
    if broken is not None:
        raise InputError(
            f"{path}: the id {broken!r} contains white space, which TREC puts between columns; name a file that ends "
            "in .json"
        )
    write_trec(path, run, tag)


def check_run_name(path: str | Path) -> str:
    """Return the ending of a run file, ``.trec`` or ``.json``, without ``.gz``; InputError for another one."""
    ending = Path(Path(path).name.removesuffix(".gz")).suffix
    if ending not in (".trec", ".json"):
        raise InputError(f"{path}: a run file ends in .trec or .json, a packed one in .trec.gz or .json.gz")
    return ending


def write_run(folder: str | Path, rankings: Iterable[Ranking], tag: str = "splade") -> Run:
    """Write ``run.json`` and ``run.trec`` into ``folder``, each whole or absent; the run they hold.

    Nothing is written before the last ranking came. A query with an empty ranking stays in
    ``run.json`` as an empty object; TREC has no line for it. Raises InputError for a query that comes
    twice, ValueError for a ranking whose scores increase or that holds a document twice.
    """
    run: Run = {}
    for ranking in rankings:
        if ranking.query_id in run:
            raise InputError(f"the query id {ranking.query_id!r} comes twice; query ids must be unique")
        run[ranking.query_id] = _results(ranking)
    keep_run(folder, run, tag)
    return run


def keep_run(folder: str | Path, run: Run, tag: str = "splade") -> None:
    """Write ``run``, whose results stand best first, as ``run.json`` and ``run.trec`` into ``folder``."""
    _write_json(Path(folder) / "run.json", run)
    write_trec(Path(folder) / "run.trec", run, tag)


def write_trec(path: str | Path, run: Run, tag: str = "splade") -> None:
    """Write ``run`` as TREC lines, best first, ranks from 1.

    TREC separates columns by white space: where an id contains some, the file cannot be written; a
    warning says so and a file of that name is removed rather than left from an earlier run.
    """
    broken = _id_with_space(run)
    if broken is not None:
        logger.warning(
            "%s is not written: the id %r contains white space, which TREC puts between columns", path, broken
        )
        Path(path).unlink(missing_ok=True)
        return
    with whole_file(path) as stream:
        for query_id, results in run.items():
            for rank, doc_id in enumerate(ordered(results), 1):
                stream.write(f"{query_id} Q0 {doc_id} {rank} {results[doc_id]!r} {tag}\n")


def _results(ranking: Ranking) -> dict[str, float]:
    scores = np.asarray(ranking.scores).tolist()  # float32 to float: exact
    results = dict(zip(ranking.doc_ids, scores, strict=True))
    if len(results) < len(scores):
        raise ValueError(f"the ranking of query {ranking.query_id!r} holds a document twice")
    if not all(map(math.isfinite, scores)):
        raise ValueError(f"the ranking of query {ranking.query_id!r} has a score that is not finite")
    if any(after > before for before, after in pairwise(scores)):
        raise ValueError(f"the ranking of query {ranking.query_id!r} is not sorted by decreasing score")
    return results


def _write_json(path: Path, run: Run) -> None:
    with whole_file(path) as stream:
        # One query per line: json.dumps of one query is fast, and the file stays readable.
        lines = (f"{json.dumps(query, ensure_ascii=False)}: {_dump(results)}" for query, results in run.items())
        stream.write("{")
        for number, line in enumerate(lines):
            stream.write(",\n" if number else "\n")
            stream.write(line)
        stream.write("\n}\n")


def _dump(results: dict[str, float]) -> str:
    return json.dumps(results, ensure_ascii=False, allow_nan=False)


def _id_with_space(run: Run) -> str | None:
    for query_id, results in run.items():
        for name in (query_id, *results):
            if len(name.split()) != 1:
                return name
    return None


def _is_json(path: Path) -> bool:
    try:
        with open_binary(path) as stream:
            return stream.read(256).removeprefix(BYTE_ORDER_MARK).lstrip()[:1] == b"{"
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _read_json(path: Path) -> Run:
    stored = read_json(path)
    for query_id, results in stored.items():
        if not isinstance(results, dict):
            raise InputError(f"{path}: query {query_id!r} holds {type(results).__name__}, expected {{document: score}}")
        stored[query_id] = {doc_id: _number(path, query_id, doc_id, score) for doc_id, score in results.items()}
    return stored


def _number(path: Path, query_id: str, doc_id: str, score: Any) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise InputError(
            f"{path}: query {query_id!r}, document {doc_id!r}: the score is {score!r}, expected a finite number"
        )
    return float(score)


def _read_trec(path: Path) -> Run:
    run: Run = {}
    for number, line in text_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise InputError.at(path, number, f"{len(columns)} columns, expected 6: query Q0 document rank score tag")
        query_id, _, doc_id, _, written, _ = columns
        try:
            score = float(written)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise InputError.at(path, number, f"the score is {written!r}, expected a finite number")
        results = run.setdefault(query_id, {})
        if doc_id in results:
            raise InputError.at(path, number, f"document {doc_id!r} comes twice for query {query_id!r}")
        results[doc_id] = score
    return run
