"""The queries that made the difference between two systems, their documents, and the terms of these scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from splade.comparing.comparison import Comparison
from splade.comparing.queries import Moved, most_moved, risen_document
from splade.comparing.systems import System
from splade.comparing.terms import TermDifference, terms_of_difference
from splade.data.qrels import read_qrels
from splade.records import Qrels, Run

N_TERMS = 10

Lookup = Callable[[str], str | None]
"""The text of an id; None where it is not known."""
Products = Callable[[str, str, str], Mapping[str, float] | None]
"""The products by term of a system's score, by system, query and document; None where its vectors are not at hand."""


class Explained(NamedTuple):
    """Two scores and the terms that make their difference."""

    first: str  # of which the first score is, in words
    second: str
    scores: tuple[float, float]
    terms: list[TermDifference]


class DocumentMove(NamedTuple):
    """A relevant document in the rankings of two systems."""

    doc_id: str
    text: str | None
    grade: int
    ranks: tuple[int | None, int | None]  # from 1; None where it was not found
    explained: Explained | None


class QueryMove(NamedTuple):
    """A query that one of two systems answers better."""

    query_id: str
    text: str | None
    first: float
    second: float
    document: DocumentMove | None  # the relevant one that the better system raises most; None where nothing tells

    @property
    def difference(self) -> float:
        """The first system's value minus the second's."""
        return self.first - self.second


class PairMoves(NamedTuple):
    """The queries that the first of two systems won and lost by most, by one metric."""

    dataset: str
    metric: str
    first: str
    second: str
    won: list[QueryMove]
    lost: list[QueryMove]


def nothing(*_: str) -> None:
    """The lookup that knows nothing."""


def moves(
    comparison: Comparison,
    n: int = 5,
    *,
    query_text: Lookup = nothing,
    doc_text: Lookup = nothing,
    products: Products = nothing,
) -> list[PairMoves]:
    """The ``n`` queries that each pair won and lost by most by the first metric of ``comparison``.

    Each comes with the relevant document that the better system raises most, if runs and qrels are there. With
    ``products`` of both systems its two scores are explained. With those of one, its score by that one is explained
    beside the score of the best document that is not relevant.
    """
    metric, found = comparison.metrics[0], []
    for dataset, systems in comparison.sets.items():
        of_name = {system.name: system for system in systems}
        pairs = list(dict.fromkeys((pair.first, pair.second) for pair in comparison.pairs if pair.dataset == dataset))
        moved = {
            (first, second): most_moved(of_name[first].per_query[metric], of_name[second].per_query[metric], n)
            for first, second in pairs
        }
        view = _View(systems, moved.values(), query_text, doc_text, products)
        for (first, second), (won, lost) in moved.items():
            both = [[view.query(first, second, one) for one in some] for some in (won, lost)]
            found.append(PairMoves(dataset, metric, first, second, *both))
    return found


class _View:
    """The rankings, judgements and texts of the queries that moved; a run is read once."""

    def __init__(
        self, systems: Sequence[System], moved: object, query_text: Lookup, doc_text: Lookup, products: Products
    ) -> None:
        queries = list(dict.fromkeys(one.query_id for pair in moved for some in pair for one in some))  # type: ignore[attr-defined]
        self.runs: dict[str, Run] = {system.name: system.rankings(queries) for system in systems} if queries else {}
        sources = {system.qrels for system in systems} - {None}
        self.qrels: Qrels = read_qrels(str(min(sources, key=str))) if queries and sources else {}
        self.query_text, self.doc_text, self.products = query_text, doc_text, products

    def query(self, first: str, second: str, moved: Moved) -> QueryMove:
        """A query that moved, with its document."""
        query_id = moved.query_id
        rankings = self.runs[first][query_id], self.runs[second][query_id]
        grades = self.qrels.get(query_id, {})
        won = moved.difference > 0
        found = risen_document(*rankings, grades) if won else risen_document(*rankings[::-1], grades)
        document = None
        if found is not None:
            doc_id, winner, loser = found
            ranks = (winner, loser) if won else (loser, winner)
            explained = self.explained((first, second), query_id, doc_id)
            document = DocumentMove(doc_id, self.doc_text(doc_id), grades[doc_id], ranks, explained)
        return QueryMove(query_id, self.query_text(query_id), moved.first, moved.second, document)

    def explained(self, names: tuple[str, str], query_id: str, doc_id: str) -> Explained | None:
        """The terms of a document's scores; None where no vectors are at hand."""
        found = [self.products(name, query_id, doc_id) for name in names]
        if found[0] is not None and found[1] is not None:
            return _explained((f"{doc_id} by {names[0]}", f"{doc_id} by {names[1]}"), found[0], found[1])
        for name, own in zip(names, found, strict=True):
            grades = self.qrels.get(query_id, {})
            rival = next((other for other in self.runs[name][query_id] if grades.get(other, 0) <= 0), None)
            other = None if own is None or rival is None else self.products(name, query_id, rival)
            if own is not None and other is not None:
                return _explained((f"{doc_id} by {name}", f"{rival} by {name}"), own, other)
        return None


def _explained(titles: tuple[str, str], first: Mapping[str, float], second: Mapping[str, float]) -> Explained:
    return Explained(*titles, (sum(first.values()), sum(second.values())), terms_of_difference(first, second, N_TERMS))
