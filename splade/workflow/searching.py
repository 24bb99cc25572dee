"""Search query sets with any engine: runs, metrics' files and what they rest on. This module starts without torch."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from splade.data.collections.opening import open_queries
from splade.engines.protocol import Opened, Queries
from splade.evaluation.conventions import SelfMatches
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.runs import write_run
from splade.files import InputError, write_json
from splade.indexing.format.pruning import Pruning, prune_vectors
from splade.progress import progress
from splade.records import Ranking, Run, SparseBatch
from splade.results.cost import Meter
from splade.workflow.costs import build_costs, write_conditions
from splade.workflow.engines import Chosen, chosen_engine, engine_of_vectors
from splade.workflow.evaluating.conventions import conventions_of
from splade.workflow.given_vectors import given_queries

logger = logging.getLogger(__name__)

DROPPED = Path("stats", "dropped.json")


def vectors_asked(cfg: DictConfig) -> tuple[Opened, Iterator[Queries]]:
    """The index, and the vectors of ``data.Q_VECTORS_PATH`` in its terms, set by set."""
    opened = engine_of_vectors(cfg, f"data.Q_VECTORS_PATH={cfg.retrieve.vectors}").open()
    sources, keys = cfg.retrieve.vectors, cfg.retrieve.vector_keys
    return opened, (given_queries(source, opened, keys, cfg.search.force) for source in sources)


def texts_asked(cfg: DictConfig) -> tuple[Opened, Iterator[Queries], Chosen]:
    """The index, the queries of ``data.Q_COLLECTION_PATH`` as its engine takes them, and the engine that was chosen."""
    chosen = chosen_engine(cfg, cfg.index.dir)
    opened = chosen.at(cfg.index.dir).open()
    asking = chosen.source.queries(opened, cfg.search.force)
    return opened, (asking.encode(open_queries(source)) for source in cfg.retrieve.queries), chosen


def answer(
    opened: Opened,
    queries: Queries,
    folder: str | Path,
    cfg: DictConfig,
    *,
    system: str | None = None,
    self_matches: SelfMatches | None = None,
) -> Run:
    """Search ``queries``; write ``run.json``, ``run.trec`` and ``stats/`` into ``folder``.

    ``system`` is the name that the result is told by. ``self_matches`` drops documents that are their own queries; a
    query is then searched for one document more.

    In ``stats/``: ``q_stats.json`` counts the queries as they were searched; of sparse ones it has the mean non-zeros
    (``L0_q``) and the terms that the index does not know. ``search_stats.json`` says what the result rests on: system,
    engine, index, model, pruning of queries, FLOPS, latency. ``costs.json`` has time, memory and energy of searching,
    of encoding the queries, and of the index. ``conditions.json`` has versions, machine, revision, seed and command.
    ``dropped.json`` names the rule of self-matches and the queries that lost one, if any did. Beside, ``config.yaml``
    is the whole config.
    """
    settings, folder, n_queries = cfg.search, Path(folder), len(queries.vectors.ids)
    k = settings.top_k
    queries, pruning = pruned_queries(queries, settings)
    own = self_matches or SelfMatches("off", "")
    depth = min(own.depth(k), max(opened.n_docs, 1))
    seconds: list[float] = []
    how = {"n_threads": settings.n_threads, "threshold": settings.threshold}
    with Meter() as meter:
        found = opened.search(queries, depth, **how, seconds=seconds)
        rankings: list[Ranking] = list(progress(found, desc="search", unit="query", total=n_queries))
    run = write_run(folder, own.of_rankings(rankings, k))
    if own.dropped:
        write_json(folder / DROPPED, {"self_matches": own.policy, "queries": own.dropped})
    else:
        (folder / DROPPED).unlink(missing_ok=True)
    write_json(folder / "stats" / "q_stats.json", query_statistics(queries))
    facts = opened.facts(queries)
    sizes: dict[str, Any] = {name: facts.pop(name) for name in ("index", "flops") if name in facts}
    told: dict[str, Any] = {
        **({} if system is None else {"system": system}),
        **facts,
        "top_k": k,
        "threshold": settings.threshold,
        **({"query_pruning": pruning} if pruning else {}),
        **sizes,
        "index_fingerprint": opened.fingerprint,
        "model_fingerprint": queries.fingerprint,
        "latency_ms": latency_summary(seconds, n_threads=settings.n_threads),
    }
    write_json(folder / "stats" / "search_stats.json", told)
    asked = {"seconds": queries.encode_seconds}
    costs = {"search": meter.told(), "encode_queries": asked, "build": build_costs(opened)}
    write_json(folder / "stats" / "costs.json", costs)
    write_conditions(folder, cfg)
    logger.info("%d queries; runs in %s", n_queries, folder)
    return run


def answer_sets(
    opened: Opened, query_sets: Iterable[Queries], out_dir: str | Path, cfg: DictConfig, *, system: str | None = None
) -> None:
    """Answer each query set of the config, in its order, into its folder of ``out_dir``, as `answer` does."""
    policy = conventions_of(cfg.get("conventions")).self_matches
    for name, queries in zip(cfg.retrieve.names, query_sets, strict=True):
        answer(opened, queries, Path(out_dir) / name, cfg, system=system, self_matches=SelfMatches(policy, name))


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
