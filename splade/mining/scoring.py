"""A teacher's scores of every candidate of every query, and of the query's positives."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from splade.data.collections.collection import Collection
from splade.data.examples.candidates import iterate_candidates
from splade.data.vectors.shards import Stored
from splade.files import InputError
from splade.mining.choosing import Positives
from splade.mining.negatives import checksum, state_of
from splade.mining.pieces import Entry, Pieces
from splade.mining.teachers import Group, Teacher
from splade.progress import progress

logger = logging.getLogger(__name__)

PIECE = 32  # queries that are scored and stored at a time
FILE = "scores.jsonl.gz"


class Texts(NamedTuple):
    """The collections that ids of queries and documents are looked up in, and the documents that answer each query."""

    queries: Collection
    documents: Collection
    positives: Positives  # empty: they are among the candidates, if anywhere


def score(candidates: Path, texts: Texts, teacher: Teacher, path: Path, piece: int = PIECE) -> dict[str, Any]:
    """Write ``teacher``'s scores of ``candidates`` and positives to ``path``, positives first; the statistics.

    ``candidates`` is a file that `iterate_candidates` reads, whose own scores are not used. Ids without a text are left
    out and counted. What an interrupted call left is continued where all is the same; a finished file is left as
    it is. Memory: the texts of ``piece`` queries.
    """
    pieces = Pieces(path, _about(candidates, texts, teacher))
    if pieces.finished:
        logger.info("%s holds these scores already", path)
        return pieces.statistics
    listed = ((entry.query, entry.scores) for entry in iterate_candidates(candidates))
    entries = islice(listed, pieces.n_queries, None)
    try:
        with progress(desc="score", unit="pair", initial=pieces.counts["pairs"]) as bar:
            while batch := list(islice(entries, piece)):
                before = pieces.counts["pairs"]
                _add(pieces, batch, texts, teacher)
                bar.update(pieces.counts["pairs"] - before)
                bar.set_postfix(queries=pieces.n_queries, refresh=False)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"scoring interrupted after {pieces.n_queries} queries; the same command continues there"
        ) from error
    if not pieces.counts["pairs"]:
        raise InputError(f"{candidates}: none of its queries and documents has a text in {_names(texts)}")
    _warn(candidates, texts, pieces.counts)
    pieces.finish(pieces.counts)
    return dict(pieces.counts)


def _about(candidates: Path, texts: Texts, teacher: Teacher) -> dict[str, Any]:
    return {
        "candidates": list(Stored.of(candidates)),
        "queries": state_of(texts.queries),
        "documents": state_of(texts.documents),
        "positives": checksum(texts.positives),
        "teacher": teacher.about(),
    }


def _add(pieces: Pieces, batch: Sequence[Entry], texts: Texts, teacher: Teacher) -> None:
    """Score the next queries with their candidates, and store the scores."""
    counts = Counter(
        {name: 0 for name in ("unknown_queries", "unknown_documents", "positives", "pairs", "answers_scored_best")}
    )
    groups = list(_groups(batch, texts, counts))
    scored = teacher.scores(groups) if groups else []
    for group, scores in zip(groups, scored, strict=True):
        answers = texts.positives.get(group.query.id, ())
        counts["queries"] += 1
        counts["pairs"] += len(scores)
        counts["positives"] += sum(document.id in answers for document in group.documents)
        counts["answers_scored_best"] += group.documents[int(np.argmax(scores))].id in answers
    pieces.add(len(batch), [_entry(*both) for both in zip(groups, scored, strict=True)], counts)


def _groups(batch: Sequence[Entry], texts: Texts, counts: Counter[str]) -> Iterator[Group]:
    """Queries and documents that have texts, positives first, each kind in its order."""
    numbers = texts.queries.find([query for query, _ in batch])
    for (query, candidates), number in zip(batch, numbers.tolist(), strict=True):
        if number < 0:
            counts["unknown_queries"] += 1
            continue
        answers = sorted(texts.positives.get(query, ()))
        ids = list(dict.fromkeys([*answers, *candidates]))
        places = texts.documents.find(ids).tolist()
        documents = [texts.documents.at(place) for place in places if place >= 0]
        counts["unknown_documents"] += len(ids) - len(documents)
        if documents:
            yield Group(texts.queries.at(number), documents)


def _entry(group: Group, scores: Any) -> tuple[str, Mapping[str, float]]:
    """A line of the file; scores in as few digits as give the same float32."""
    ids = [document.id for document in group.documents]
    return group.query.id, {id: float(str(score)) for id, score in zip(ids, scores, strict=True)}


def _warn(candidates: Path, texts: Texts, counts: Mapping[str, int]) -> None:
    if counts["unknown_queries"] or counts["unknown_documents"]:
        logger.warning(
            "%s: %d queries and %d documents have no text in %s; they are left out",
            candidates, counts["unknown_queries"], counts["unknown_documents"], _names(texts),
        )  # fmt: skip


def _names(texts: Texts) -> str:
    return f"{texts.queries.source} and {texts.documents.source}"
