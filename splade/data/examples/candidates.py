"""Candidate documents of training queries, from files that list them with scores, or by the systems that found them.

Beside what :mod:`splade.data.score_files.negatives` reads, JSON lines as Sentence Transformers publishes hard
negatives: ``{"qid": …, "pos": [id, …], "neg": {system: [id, …]}}``, whose teacher scores come in a file of their own.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from splade.data.score_files.negatives import SCORE_FILES, identifier
from splade.data.score_files.teachers import Files, TeacherScores, paths_of
from splade.data.text_files.formats import json_object
from splade.data.text_files.lines import LineFile
from splade.data.text_files.sources import needed_file
from splade.files import InputError

NO_SCORE = float("nan")
KEYS = ("qid", "pos", "neg")


class Candidates(NamedTuple):
    """A query's documents with their scores (NaN: none is known), and which of them the file says are answers."""

    query: str
    scores: dict[str, float]
    positives: frozenset[str] | None = None  # None: the file does not say


def iterate_candidates(
    files: Files,
    systems: Collection[str] | None = None,
    scores_of: Files | None = None,
    teacher: TeacherScores | None = None,
) -> Iterator[Candidates]:
    """The candidates of a file, query by query, in its order; of several files of scores, what all of them hold.

    ``systems``: of a file by systems, only what these found. ``scores_of``: files of scores (see `iterate_scores`),
    held in memory, that stand in the place of the file's own. ``teacher`` says how scores are read. InputError with
    file and line where something cannot be used.
    """
    teacher = teacher or TeacherScores()
    paths = paths_of(files)
    file = needed_file(paths[0], SCORE_FILES, "candidates")
    own = TeacherScores() if scores_of is not None else teacher  # candidates' own scores are not used then
    if lists_systems(file):
        own.check_one(paths, "lists negatives by system")
        found = _by_system(file, systems)
    elif systems is not None:
        raise InputError(f"{file}: data.negative_systems is for files of hard negatives by system, and this is none")
    else:
        found = (Candidates(query, scores) for query, scores in own.read(paths))
    if scores_of is None:
        return found
    known = dict(teacher.read(scores_of))
    return (_rescored(candidates, known.get(candidates.query, {})) for candidates in found)


def lists_systems(path: str | Path) -> bool:
    """True where a file lists hard negatives by system; such a file says by itself what the positives are."""
    file = needed_file(path, SCORE_FILES, "candidates")
    if not file.name.removesuffix(".gz").endswith(".jsonl"):
        return False
    for chunk in LineFile(file).chunks():
        try:
            return all(key in json_object(chunk.line(0)) for key in KEYS)
        except ValueError:
            return False  # the reader of scores says what is wrong with it
    return False


def _rescored(candidates: Candidates, known: dict[str, float]) -> Candidates:
    return candidates._replace(scores={id: known.get(id, NO_SCORE) for id in candidates.scores})


def _by_system(path: Path, systems: Collection[str] | None) -> Iterator[Candidates]:
    seen, met = set[str](), set[str]()
    for chunk in LineFile(path).chunks():
        for number, line in enumerate(chunk.lines(), chunk.first_line):
            try:
                record = json_object(line)
            except ValueError as error:
                raise InputError.at(path, number, str(error) if line.strip() else "blank line; remove it") from error
            if not _is_record(record):
                raise InputError.at(path, number, 'a line is {"qid": …, "pos": [id, …], "neg": {system: [id, …]}}')
            query = identifier(f"{path}:{number}", record["qid"])
            if query in seen:
                raise InputError.at(path, number, f"query {query!r} is there twice")
            seen.add(query)
            met |= record["neg"].keys()
            yield _candidates(f"{path}:{number}", query, record, systems)
    if unknown := sorted(set(systems or ()) - met):
        there = ", ".join(sorted(met))
        raise InputError(f"{path}: no query has negatives of {unknown[0]!r} (data.negative_systems); there are {there}")


def _is_record(record: Any) -> bool:
    if not all(key in record for key in KEYS) or not isinstance(record["neg"], dict):
        return False
    return all(isinstance(listed, list) for listed in (record["pos"], *record["neg"].values()))


def _candidates(place: str, query: str, record: Any, systems: Collection[str] | None) -> Candidates:
    """Positives first, then the negatives of the systems, each once."""
    positives = dict(_entry(place, entry) for entry in record["pos"])
    listed = [record["neg"][name] for name in record["neg"] if systems is None or name in systems]
    negatives = dict(_entry(place, entry) for entries in listed for entry in entries)
    scores = positives | {id: score for id, score in negatives.items() if id not in positives}
    return Candidates(query, scores, frozenset(positives))


def _entry(place: str, entry: Any) -> tuple[str, float]:
    """An id and its score: entries are ids, or ``{"pid": id, "ce-score": score}``."""
    if not isinstance(entry, dict):
        return identifier(place, entry), NO_SCORE
    score = entry.get("ce-score", NO_SCORE)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise InputError(f"{place}: the score must be a number, got {score!r}")
    return identifier(place, entry.get("pid")), float(score)
