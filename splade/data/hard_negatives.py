"""Queries with scored candidates: one positive and n negatives drawn anew each time an example is asked for."""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.collections import Collection, open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.teachers import TeacherScores
from splade.files import InputError
from splade.records import Example

logger = logging.getLogger(__name__)


class HardNegatives:
    """Scored candidates (JSON lines, pickle, JSON or TREC run) of queries, with texts from two collections.

    Positives are the documents that ``qrels`` judges above 0, with a teacher only those that have a score;
    with ``positive_first`` and no qrels, the first document listed for a query. All other candidates are
    negatives. An example draws one positive and ``n_negatives`` different negatives; where a query has
    fewer, all of them, then some again. ``with_teacher=False`` leaves the scores out of the examples; ``teacher``
    says how several files of scores become one, and to which scale.

    What cannot be used (unknown queries and documents, queries without a positive or a negative) is
    counted into one warning; InputError where nothing is left. Memory: 8 bytes a candidate.
    """

    def __init__(
        self,
        scores: str | Path | Sequence[str | Path],
        queries: str | Path | Collection,
        documents: str | Path | Collection,
        qrels: str | Path | None = None,
        n_negatives: int = 1,
        *,
        with_teacher: bool = True,
        positive_first: bool = False,
        teacher: TeacherScores | None = None,
    ) -> None:
        if n_negatives < 1:
            raise ValueError(f"n_negatives must be at least 1, got {n_negatives}")
        if (qrels is None) != positive_first:
            raise InputError(
                f"{scores}: to tell positives from negatives give either qrels (data.TRAIN.QREL_PATH) or "
                f"positive_first, which takes the first document of each query; got qrels={qrels}, "
                f"positive_first={positive_first}"
            )
        self.queries, self.documents = open_queries(queries), open_collection(documents)
        self.n_documents, self.has_teacher = 1 + n_negatives, with_teacher
        judged = {} if qrels is None else read_qrels(qrels)
        teacher = teacher or TeacherScores()
        groups = _gather(self, scores, teacher, judged, positive_first)
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
        documents = tuple(self.documents.at(number) for number in groups.documents[chosen].tolist())
        teacher = tuple(groups.scores[chosen].tolist()) if self.has_teacher else None
        return Example(self.queries.at(int(groups.queries[index])), documents, teacher)


class _Groups(NamedTuple):
    """Usable queries; positives of query i are ``bounds[2i]:bounds[2i+1]``, negatives up to ``bounds[2i+2]``."""

    queries: NDArray[np.int32]  # [Q], numbers in the queries
    bounds: NDArray[np.int64]  # [2Q + 1]
    documents: NDArray[np.int32]  # [candidates], numbers in the collection
    scores: NDArray[np.float32]  # [candidates], NaN for a positive that was not scored


class _Losses:
    """Counts what cannot be used, with one instance of each kind."""

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
    source: HardNegatives,
    path: str | Path | Sequence[str | Path],
    teacher: TeacherScores,
    judged: dict[str, dict[str, int]],
    positive_first: bool,
) -> _Groups:
    queries, bounds = array("i"), array("q", [0])
    documents, scores = array("i"), array("f")
    losses = _Losses()
    for query, candidates in teacher.read(path):
        query_number = int(source.queries.find([query])[0])
        if query_number < 0:
            losses.add("unknown queries", [query])
            continue
        relevant = {id for id, grade in judged.get(query, {}).items() if grade > 0}
        if positive_first:
            relevant = set(list(candidates)[:1])
        elif not source.has_teacher:
            # Without a teacher, a judged document need not be among the scored ones.
            candidates = candidates | dict.fromkeys(relevant - candidates.keys(), float("nan"))
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
    if not queries:
        raise InputError(f"{path}: no query can be trained on: {losses}. Do its ids belong to {_names(source)}?")
    if losses.counts:
        logger.warning("%s: %s; %d queries are used", path, losses, len(queries))
    return _Groups(np.array(queries), np.array(bounds), np.array(documents), np.array(scores))


def _names(source: HardNegatives) -> str:
    return f"{source.queries.source} and {source.documents.source}"


def _draw(n: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``wanted`` numbers below n without repeats, or, where n is too small, all of them and then repeats."""
    if n >= wanted:
        return rng.choice(n, wanted, replace=False)
    return np.concatenate([rng.permutation(n), rng.integers(n, size=wanted - n)])
