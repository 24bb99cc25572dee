"""One run measured under its conventions, with all that the figures rest on."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.coverage import Coverage, coverage
from splade.evaluation.metrics import evaluate_per_query, means
from splade.records import Qrels, Run


class Measured(NamedTuple):
    """The metrics of a run, by query too, and the facts to keep with them."""

    metrics: dict[str, float]
    per_query: dict[str, dict[str, float]]
    covered: Coverage
    details: dict[str, Any]


def measured(
    run: Run,
    qrels: Qrels,
    metrics: Sequence[str],
    conventions: Conventions,
    self_matches: SelfMatches,
    *,
    dropped_before: Collection[str] = (),
    written: str = "as written",
) -> Measured:
    """Measure ``run`` against ``qrels``, without its self-matches where ``self_matches`` drops them.

    ``dropped_before`` are the queries whose self-matches the search has dropped already. ``written`` describes the
    order in which the run has equal scores. The details have ``queries`` (counts), ``conventions`` and, where any was
    dropped, ``self_matches``: the number of hits, how many of them are relevant, and their queries. Raises as
    :func:`splade.evaluation.coverage.coverage` and :func:`splade.evaluation.metrics.evaluate`.
    """
    run = self_matches.of_run(run)
    covered = coverage(run, qrels, conventions.ties)
    per_query = evaluate_per_query(
        run,
        qrels,
        metrics,
        answered_only=conventions.answered_only,
        relevance_level=conventions.relevance_level,
        ties=conventions.ties,
    )
    details: dict[str, Any] = {"queries": covered._asdict(), "conventions": conventions.told(written)}
    dropped = list(dict.fromkeys([*dropped_before, *self_matches.dropped]))
    if dropped:
        level = conventions.relevance_level
        relevant = sum(qrels.get(query_id, {}).get(query_id, 0) >= level for query_id in dropped)
        details["self_matches"] = {"dropped_hits": len(dropped), "dropped_relevant": relevant, "queries": dropped}
    return Measured(means(per_query, answered_only=conventions.answered_only), per_query, covered, details)
