"""Queries with scored candidates: one positive and n negatives drawn anew each time an example is asked for."""

import logging
import math
from array import array
from collections.abc import Collection as Ids
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.examples.candidates import NO_SCORE, Candidates, iterate_candidates, lists_systems
from splade.data.examples.false_negatives import FalseNegatives
from splade.data.examples.text_groups import text_groups
from splade.data.qrels import read_qrels
from splade.data.score_files.teachers import Files, TeacherScores, paths_of
from splade.files import InputError
from splade.records import Answers, Example, Qrels

logger = logging.getLogger(__name__)

UNSCORED = "candidates without a score"


class HardNegatives:
    """Candidates of queries from a file (see `iterate_candidates`), with texts from two collections.

    A file may hold the texts itself (see `text_groups`). It then names the positives, may have a teacher's scores, and
    needs no collections and qrels.

    Positives are the documents that ``qrels`` judges above 0. Without qrels, they are the file's own positives, or with
    ``positive_first`` the first document listed for a query. All other candidates are negatives, unless ``margin`` or
    ``share`` marks them as false (see `FalseNegatives`). ``scores_of`` is a file of scores in place of the file's own,
    and ``systems`` are the systems whose negatives are taken. ``teacher`` averages and scales several files of scores.

    An example draws one positive and ``n_negatives`` different negatives; a query with fewer gives all of them, then
    some again. ``with_teacher=False`` leaves the scores out of the examples; otherwise only candidates with a score
    count, positives too. An example also lists the documents that are no negatives of its query in a batch: all its
    positives, drawn and scored or not, and the false negatives.

    Unknown queries and documents, and queries without a positive or a negative, are counted in one warning; InputError
    if nothing is left. Memory: 8 bytes a candidate, 4 a positive.
    """

    has_teacher: bool = True  # of the class: it can have
    has_negatives = True

    def __init__(
        self,
        scores: Files,
        queries: str | Path | Collection | None = None,
        documents: str | Path | Collection | None = None,
        qrels: str | Path | None = None,
        n_negatives: int = 1,
        *,
        with_teacher: bool = True,
        positive_first: bool = False,
        teacher: TeacherScores | None = None,
        scores_of: Files | None = None,
        systems: Sequence[str] | None = None,
        margin: float | None = None,
        share: float | None = None,
    ) -> None:
        if n_negatives < 1:
            raise ValueError(f"n_negatives must be at least 1, got {n_negatives}")
        self.false_negatives = FalseNegatives(margin, share)
        self.n_documents, self.has_teacher = 1 + n_negatives, with_teacher
        teacher = teacher or TeacherScores()
        texts = text_groups(paths_of(scores))
        self.scores_in = "data.TRAIN.SCORES_PATH (python -m splade.score makes them)"
        if scores_of is not None:
            self.scores_in = f"data.TRAIN.SCORES_PATH; {scores_of} has none for these"
        if texts is not None:
            self.scores_in = "pos_scores and neg_scores of its lines"
            teacher.check_one(scores, "holds texts, with a teacher's scores in pos_scores and neg_scores")
            _refuse_beside_texts(
                scores, Q_COLLECTION_PATH=queries, D_COLLECTION_PATH=documents, QREL_PATH=qrels, SCORES_PATH=scores_of,
                positive_first=positive_first, negative_systems=systems,
            )  # fmt: skip
            self.queries: Collection = texts.queries
            self.documents: Collection = texts.documents
            entries, judged = texts.candidates(), None
        else:
            _check_positives_are_told(scores, qrels, positive_first)
            if queries is None or documents is None:
                raise InputError(
                    f"{scores}: lists documents by their ids; name the texts of queries and documents in "
                    "data.TRAIN.Q_COLLECTION_PATH and data.TRAIN.D_COLLECTION_PATH"
                )
            self.queries, self.documents = open_queries(queries), open_collection(documents)
            judged = None if qrels is None else read_qrels(qrels)
            entries = iterate_candidates(scores, systems, scores_of, teacher)
        groups = _gather(self, scores, entries, judged, positive_first)
        self._groups = groups._replace(scores=teacher.rescore(groups.scores))

    def __len__(self) -> int:
        return self._groups.queries.size

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """The query ``index`` with a positive and negatives that ``rng`` draws; scores are float32."""
        if not 0 <= index < len(self):
            raise IndexError(f"no example {index}; there are {len(self)}")
        groups = self._groups
        start, middle, stop = groups.bounds[2 * index : 2 * index + 3].tolist()
        positive = start + rng.integers(middle - start)
        negatives = middle + _draw(stop - middle, self.n_documents - 1, rng)
        chosen = np.concatenate([[positive], negatives])
        numbers = tuple(groups.documents[chosen].tolist())
        teacher = tuple(groups.scores[chosen].tolist()) if self.has_teacher else None
        begin, end = groups.answer_bounds[index : index + 2].tolist()
        answers = Answers(self.documents.source, numbers, tuple(groups.answers[begin:end].tolist()))
        query = self.queries.at(int(groups.queries[index]))
        return Example(query, tuple(map(self.documents.at, numbers)), teacher, answers)


def _check_positives_are_told(scores: Files, qrels: str | Path | None, positive_first: bool) -> None:
    told = qrels is not None or lists_systems(paths_of(scores)[0])
    if told == positive_first:
        raise InputError(
            f"{scores}: to tell positives from negatives give either qrels (data.TRAIN.QREL_PATH) or "
            f"positive_first, which takes the first document of each query; got qrels={qrels}, "
            f"positive_first={positive_first}"
        )


def _refuse_beside_texts(scores: Files, **given: object) -> None:
    """InputError for settings that nothing reads beside a file of texts."""
    names = [name for name, value in given.items() if value not in (None, False)]
    if names:
        told = ", ".join(f"data.{'TRAIN.' if name.endswith('_PATH') else ''}{name}" for name in names)
        raise InputError(
            f"{scores}: its lines hold the texts and say which of them are answers, so {told} would not be read: "
            f"remove {'it' if len(names) == 1 else 'them'} (as ~{told.replace(', ', ' ~')})"
        )


class _Groups(NamedTuple):
    """Usable queries; positives of query i are ``bounds[2i]:bounds[2i+1]``, negatives up to ``bounds[2i+2]``."""

    queries: NDArray[np.int32]  # [Q], numbers in the queries
    bounds: NDArray[np.int64]  # [2Q + 1]
    documents: NDArray[np.int32]  # [candidates], numbers in the collection
    scores: NDArray[np.float32]  # [candidates], NaN for a positive that was not scored
    answers: NDArray[np.int32]  # numbers in the collection of what is no negative, query by query
    answer_bounds: NDArray[np.int64]  # [Q + 1], where each query's begin


class _Losses:
    """Counts the candidates and queries that cannot be used, with one instance of each kind."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.instances: dict[str, str] = {}

    def add(self, kind: str, ids: list[str]) -> None:
        if ids:
            self.counts[kind] = self.counts.get(kind, 0) + len(ids)
            self.instances.setdefault(kind, ids[0])

    def __str__(self) -> str:
        return ", ".join(f"{n} {kind} (as {self.instances[kind]!r})" for kind, n in self.counts.items())


def _gather(
    source: HardNegatives, path: Files, entries: Iterable[Candidates], judged: Qrels | None, positive_first: bool
) -> _Groups:
    queries, bounds = array("i"), array("q", [0])
    documents, scores = array("i"), array("f")
    answers, answer_bounds = array("i"), array("q", [0])
    losses = _Losses()
    for entry in entries:
        query = entry.query
        query_number = int(source.queries.find([query])[0])
        if query_number < 0:
            losses.add("unknown queries", [query])
            continue
        relevant = _relevant(entry, judged, positive_first)
        candidates, false = _usable(source, entry, relevant, losses)
        # Positives first, each kind in the order of the file.
        ids = sorted(candidates, key=lambda id: id not in relevant)
        numbers = source.documents.find(ids)
        losses.add("unknown documents", [id for id, number in zip(ids, numbers, strict=True) if number < 0])
        known = [(id, number) for id, number in zip(ids, numbers.tolist(), strict=True) if number >= 0]
        n_positives = sum(id in relevant for id, _ in known)
        if n_positives == 0 or n_positives == len(known):
            kind = "negative" if n_positives else "scored positive" if source.has_teacher else "positive"
            losses.add(f"queries without a {kind}", [query])
            continue
        if len(known) - n_positives < source.n_documents - 1:
            losses.add(f"queries with fewer than {source.n_documents - 1} negatives, some drawn again", [query])
        queries.append(query_number)
        documents.extend(number for _, number in known)
        scores.extend(candidates[id] for id, _ in known)
        bounds.extend([bounds[-1] + n_positives, bounds[-1] + len(known)])
        answers.extend(number for number in source.documents.find([*relevant, *false]).tolist() if number >= 0)
        answer_bounds.append(len(answers))
    if not queries:
        raise InputError(f"{path}: no query can be trained on: {losses}. {_remedy(source, losses)}")
    if losses.counts:
        logger.warning("%s: %s; %d queries are used", path, losses, len(queries))
    return _Groups(*map(np.array, (queries, bounds, documents, scores, answers, answer_bounds)))


def _relevant(entry: Candidates, judged: Qrels | None, positive_first: bool) -> Ids[str]:
    """The positives of a query."""
    if judged is not None:
        return {id for id, grade in judged.get(entry.query, {}).items() if grade > 0}
    return list(entry.scores)[:1] if positive_first else entry.positives or ()


def _usable(
    source: HardNegatives, entry: Candidates, relevant: Ids[str], losses: _Losses
) -> tuple[dict[str, float], set[str]]:
    """The candidates that may be in examples, and the false negatives, which may not."""
    scores = entry.scores
    if source.has_teacher:
        unscored = [id for id, score in scores.items() if math.isnan(score)]
        losses.add(UNSCORED, unscored)
        scores = {id: score for id, score in scores.items() if not math.isnan(score)}
    else:
        # Without a teacher, a positive need not be among the scored ones.
        scores = scores | {id: NO_SCORE for id in relevant if id not in scores}
    if not source.false_negatives:
        return scores, set()
    false = source.false_negatives.among(scores, relevant)
    losses.add("false negatives", sorted(false))
    return {id: score for id, score in scores.items() if id not in false}, false


def _remedy(source: HardNegatives, losses: _Losses) -> str:
    """A sentence for the user when no query is left."""
    if losses.counts.keys() & {UNSCORED, "queries without a scored positive"}:
        return (
            "The loss learns from a teacher's scores, of the positive as of negatives: give them in "
            f"{source.scores_in}, or choose a loss without a teacher"
        )
    if losses.counts.keys() == {"queries without a negative"}:
        return "Its lines list answers alone: mine negatives (python -m splade.mine)"
    return f"Do its ids belong to {source.queries.source} and {source.documents.source}?"


def _draw(n: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``wanted`` numbers below n without repeats, or, where n is too small, all of them and then repeats."""
    if n >= wanted:
        return rng.choice(n, wanted, replace=False)
    return np.concatenate([rng.permutation(n), rng.integers(n, size=wanted - n)])
