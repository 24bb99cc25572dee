"""Mine negatives of the training queries from the index of a model."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_collection, open_queries
from splade.data.examples.false_negatives import FalseNegatives
from splade.data.qrels import read_qrels
from splade.data.vectors.shards import Stored
from splade.files import InputError, check_writable
from splade.mining import Chooser, Ranks, false_negatives, positives_of
from splade.mining import mine as mined
from splade.mining.negatives import FILE, Search
from splade.workflow.checks import check_search, check_training_data
from splade.workflow.engines import Chosen, chosen_engine, engine_settings
from splade.workflow.searching import pruned_queries, pruning_said

logger = logging.getLogger(__name__)


def mine(cfg: DictConfig) -> dict[str, Any]:
    """Write ``config.out_dir/negatives.jsonl.gz``: documents that the model finds and that are no answers.

    The index is that of ``config.mining.index_dir``, made of ``data.TRAIN.D_COLLECTION_PATH`` where there is none.
    An interrupted run is continued, a finished one left as it is. Returns the statistics.
    """
    check_search(cfg)
    check_writable(cfg.mine.out_dir)
    check_training_data(cfg, "queries", "documents", "qrels")
    queries, chooser = open_queries(cfg.mine.queries), chooser_from(cfg)
    chosen = chosen_engine(cfg)
    path = Path(cfg.mine.out_dir) / FILE
    statistics = mined(queries, chooser, lambda: search_with(cfg, chosen), path, about(cfg, chosen))
    logger.info(
        "%s: %.1f negatives for each of %d queries; %.1f%% of the positives are among the first %d ranks",
        path,
        statistics["negatives_per_query"],
        statistics["queries"],
        100 * statistics["positives_found_share"],
        cfg.mine.ranks.depth,
    )
    return statistics


def chooser_from(cfg: DictConfig) -> Chooser:
    """Make the chooser of negatives: it takes no positive, and no false negative by the scores that are given."""
    settings = cfg.mine
    positives = positives_of(read_qrels(settings.qrels))
    try:
        rule, ranks = FalseNegatives(settings.margin, settings.share), Ranks(**settings.ranks)
        ranks.check()
    except ValueError as error:
        raise InputError(f"config.mining: {error}") from error
    if bool(rule) != (settings.scores is not None):
        raise InputError(
            "config.mining.scores, a teacher's scores, goes with config.mining.margin or config.mining.share, which "
            "say what is a false negative by them: set both or neither"
        )
    false = false_negatives(settings.scores, positives, rule) if settings.scores is not None else None
    return Chooser(ranks, positives, false)


def search_with(cfg: DictConfig, chosen: Chosen) -> Search:
    """Rankings of texts by the chosen engine, whose index is made where there is none.

    InputError where another encoder made the index that is there.
    """
    engine, settings, name = chosen.at(cfg.mine.index_dir), cfg.search, str(cfg.mine.queries)
    if engine.exists():
        opened = engine.open()
    else:
        opened = engine.build(chosen.source.documents(open_collection(cfg.mine.documents)))
    asking = chosen.source.queries(opened, settings.force)
    depth = min(cfg.mine.ranks.depth, max(opened.n_docs, 1))

    def search(texts: Any) -> Any:
        queries, _ = pruned_queries(asking.vectors(texts, name), settings)
        return opened.search(queries, depth, n_threads=settings.n_threads, threshold=settings.threshold)

    return search


def about(cfg: DictConfig, chosen: Chosen) -> dict[str, Any]:
    """Describe what the negatives depend on apart from queries and qrels: model, index, ranks, scores and search."""
    settings = cfg.mine
    pruning = {"query_pruning": said} if (said := pruning_said(cfg.search)) else {}
    scores = None if settings.scores is None else list(Stored.of(Path(settings.scores)))
    return {
        "model": chosen.source.fingerprint,
        "index_dir": str(settings.index_dir),
        "ranks": dict(settings.ranks),
        "false_negatives": {"scores": scores, "margin": settings.margin, "share": settings.share},
        "search": {"threshold": cfg.search.threshold, **pruning, **engine_settings(cfg, chosen.name)},
    }


main = command(mine)

if __name__ == "__main__":
    main()
