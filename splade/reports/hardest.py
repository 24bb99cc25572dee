"""The hardest queries of a result, with the terms of the scores that went wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from splade.comparing import term_products, term_weights
from splade.evaluation.metrics import ordered
from splade.indexing import Index
from splade.records import Qrels, Run, SparseBatch
from splade.results import Result

Terms = list[tuple[str, float]]
Texts = Callable[[str], str | None]
"""The text of an id; None where it is not known."""


class Shown(NamedTuple):
    """A document of a hard query."""

    id: str
    rank: int | None  # from 1; None where the ranking does not hold it
    score: float | None
    text: str | None
    terms: Terms | None  # each term's part of the score, largest first; None where the vectors are not known


class HardQuery(NamedTuple):
    """A query with a low value of the metric, its best relevant document, and what is ranked first in its place."""

    id: str
    value: float
    text: str | None
    terms: Terms | None  # the weights of the query, largest first; None where they are not known
    relevant: Shown | None
    n_relevant: int
    first: Shown | None  # the best document that is not judged relevant; None where there is none


def worst(values: Mapping[str, float], run: Run, qrels: Qrels, n: int) -> list[str]:
    """The ``n`` queries with the lowest values; of equal ones, those whose relevant documents come later, then by id.

    Queries without a relevant document are left out: no ranking can be right for them.
    """

    def depth(query_id: str) -> float:
        ranks = _ranks(run.get(query_id, {}))
        return min((ranks.get(doc, float("inf")) for doc in _relevant(qrels, query_id)), default=float("inf"))

    asked = [query_id for query_id in values if _relevant(qrels, query_id)]
    return sorted(asked, key=lambda query_id: (values[query_id], -depth(query_id), query_id))[:n]


def hardest(
    result: Result,
    query_ids: Sequence[str],
    metric: str,
    qrels: Qrels,
    *,
    run: Run | None = None,
    queries: Texts = lambda _: None,
    documents: Texts = lambda _: None,
    index: Index | None = None,
    vectors: SparseBatch | None = None,
    n_terms: int = 12,
) -> list[HardQuery]:
    """The queries ``query_ids`` of ``result`` as the report shows them.

    ``vectors`` are the queries' vectors over the columns of ``index``; without one of the two there are no terms.
    ``run`` is the ranking of ``result``, read anew without it.
    """
    run = result.run() if run is None else run
    found = []
    for query_id in query_ids:
        results, relevant = run.get(query_id, {}), _relevant(qrels, query_id)
        ranks = _ranks(results)

        def shown(
            doc_id: str, query_id: str = query_id, results: Mapping[str, float] = results, ranks: dict[str, int] = ranks
        ) -> Shown:
            terms = None if index is None or vectors is None else term_products(vectors, query_id, index, doc_id)
            heaviest = _heaviest(terms, n_terms)
            return Shown(doc_id, ranks.get(doc_id), results.get(doc_id), documents(doc_id), heaviest)

        best = min(relevant, key=lambda doc: (ranks.get(doc, len(ranks) + 1), doc), default=None)
        wrong = next((doc for doc in ranks if doc not in relevant), None)
        weights = None if vectors is None else term_weights(vectors, query_id, index)
        found.append(
            HardQuery(
                id=query_id,
                value=result.per_query[metric][query_id],
                text=queries(query_id),
                terms=_heaviest(weights, n_terms),
                relevant=None if best is None else shown(best),
                n_relevant=len(relevant),
                first=None if wrong is None else shown(wrong),
            )
        )
    return found


def _heaviest(terms: Mapping[str, float] | None, n: int) -> Terms | None:
    """The ``n`` terms with the largest values, largest first; None for None."""
    return None if terms is None else sorted(terms.items(), key=lambda pair: (-pair[1], pair[0]))[:n]


def _relevant(qrels: Qrels, query_id: str) -> list[str]:
    return [doc for doc, grade in qrels.get(query_id, {}).items() if grade > 0]


def _ranks(results: Mapping[str, float]) -> dict[str, int]:
    return {doc: rank for rank, doc in enumerate(ordered(results), 1)}
