"""Search query sets with any engine: runs, metrics' files and what they rest on. This module starts without torch."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from splade.engines.protocol import Opened, Queries
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.runs import write_run
from splade.files import InputError, write_json
from splade.indexing.format.pruning import Pruning, prune_vectors
from splade.progress import progress
from splade.records import Ranking, Run, SparseBatch

logger = logging.getLogger(__name__)


def answer(
    opened: Opened,
    queries: Queries,
    folder: str | Path,
    settings: DictConfig,
    *,
    k: int | None = None,
    keep: Callable[[Iterable[Ranking]], Iterable[Ranking]] = lambda rankings: rankings,
) -> Run:
    """Search ``queries``; write ``run.json``, ``run.trec`` and ``stats/`` into ``folder``.

    ``settings`` is the wired ``search`` node; ``k`` stands in for its ``top_k``, and ``keep`` sees the rankings
    before they are written. ``stats/q_stats.json`` counts the queries as they were searched; of sparse ones it has
    the mean non-zeros (``L0_q``) and the terms that the index does not know. ``stats/search_stats.json`` says what the
    result rests on: engine, index, model, pruning of queries, FLOPS, latency.
    """
    folder, n_queries = Path(folder), len(queries.vectors.ids)
    queries, pruning = pruned_queries(queries, settings)
    depth = min(k or settings.top_k, max(opened.n_docs, 1))
    seconds: list[float] = []
    found = opened.search(queries, depth, n_threads=settings.n_threads, threshold=settings.threshold, seconds=seconds)
    rankings: list[Ranking] = list(progress(found, desc="search", unit="query", total=n_queries))
    run = write_run(folder, keep(rankings))
    write_json(folder / "stats" / "q_stats.json", query_statistics(queries))
    facts = opened.facts(queries)
    sizes: dict[str, Any] = {name: facts.pop(name) for name in ("index", "flops") if name in facts}
    told: dict[str, Any] = {
        **facts,
        "top_k": k or settings.top_k,
        "threshold": settings.threshold,
        **({"query_pruning": pruning} if pruning else {}),
        **sizes,
        "index_fingerprint": opened.fingerprint,
        "model_fingerprint": queries.fingerprint,
        "latency_ms": latency_summary(seconds, n_threads=settings.n_threads),
    }
    write_json(folder / "stats" / "search_stats.json", told)
    logger.info("%d queries; runs in %s", n_queries, folder)
    return run


def pruned_queries(queries: Queries, settings: Mapping[Any, Any]) -> tuple[Queries, dict[str, Any]]:
    """``queries`` with the heaviest of their terms that the ``search`` node keeps, and an account of the pruning.

    The account is empty where nothing is pruned: ``prune_top_terms`` is null and ``prune_mass`` 1. Terms that the
    index does not know were left out before and have no part in the mass. InputError for queries that are not sparse.
    """
    rules = Pruning(top_terms=settings.get("prune_top_terms"), mass=settings.get("prune_mass", 1.0))
    if not rules.prunes:
        return queries, {}
    if not isinstance(queries.vectors, SparseBatch):
        raise InputError(f"{pruning_said(settings)}: only sparse queries have terms to leave out. Remove it")
    before, (rows, _) = queries.vectors.rows, prune_vectors(queries.vectors.rows, rules.top_terms, rules.mass)
    account = {"top_terms": rules.top_terms, "mass": rules.mass}
    account |= {"terms_before": len(before.columns), "terms_kept": len(rows.columns)}
    return queries._replace(vectors=queries.vectors._replace(rows=rows)), account


def pruning_said(settings: Mapping[Any, Any]) -> str:
    """The settings that prune queries, with their values; "" where none does."""
    off = {"prune_top_terms": None, "prune_mass": 1.0}
    said = {name: settings.get(name, nothing) for name, nothing in off.items()}
    return " and ".join(f"config.search.{name}={value}" for name, value in said.items() if value != off[name])


def query_statistics(queries: Queries) -> dict[str, Any]:
    """Counts of queries, under the names that are reported; warns of sparse ones without terms."""
    told: dict[str, Any] = {"n_queries": len(queries.vectors.ids)}
    cut = {} if queries.n_cut is None else {"cut_queries": queries.n_cut}
    if not isinstance(queries.vectors, SparseBatch):
        return told | cut
    sizes = np.diff(queries.vectors.rows.offsets)
    empty = int((sizes == 0).sum())
    if empty:
        logger.warning("%d of %d queries have no terms and find nothing", empty, len(sizes))
    mean = float(sizes.mean()) if sizes.size else 0.0
    return {"L0_q": mean} | told | {"empty_queries": empty} | cut | queries.lost._asdict()
