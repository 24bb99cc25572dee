"""Train, index, retrieve, evaluate, measure FLOPS, draw the posting lists: one command, idempotent."""

import logging
import os

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines.bm25 import rankings
from splade.evaluation.conventions import SelfMatches
from splade.evaluation.measured import measured
from splade.files import InputError
from splade.flops import flops
from splade.index import make_index
from splade.retrieve import retrieve
from splade.train import train
from splade.training.distributed.processes import process_group
from splade.utils.index_figure import index_figure
from splade.workflow.checks import check_all
from splade.workflow.engines import engine_at, named_engine
from splade.workflow.evaluating.conventions import conventions_of
from splade.workflow.query_sets import query_sets
from splade.workflow.together import encode_share

logger = logging.getLogger(__name__)


def all_steps(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Everything from training to the figure; run again, it does only what is missing.

    An engine that takes texts (``engine=bm25``) has nothing to train: its baseline is indexed, searched and evaluated.

    Under torchrun all processes train, and encode a share of the collection each; the first one does the rest.
    """
    if cfg.checkpoint.pretrained:
        raise InputError(
            "config.pretrained_no_yamlconfig=true: splade.all would train one model and evaluate another, untrained. "
            "Remove it, or run splade.index and splade.retrieve for a model that needs no training"
        )
    if cfg.index.vectors or cfg.retrieve.vectors:
        raise InputError(
            "data.VECTORS_PATH and data.Q_VECTORS_PATH: splade.all trains a model that makes the vectors. For vectors "
            "that are there already, run splade.index and splade.retrieve"
        )
    check_all(cfg)
    takes = engine_at(cfg, named_engine(cfg) or str(cfg.kinds.engine), None).takes
    with process_group(os.environ):
        if takes != "texts":  # which need no model
            train(cfg)
        first = encode_share(cfg)
    if not first:
        return {}
    built = make_index(cfg)
    metrics = retrieve(cfg)
    if built.takes == "sparse":  # other documents have no posting lists of a model's terms
        flops(cfg)
        index_figure(cfg)
    for name, bm25 in bm25_baselines(cfg).items():
        for metric, value in bm25.items():
            mine = metrics[name][metric]
            verdict = "above" if mine > value else "below" if mine < value else "level with"
            logger.info("%s: %s %.4f, %s BM25's %.4f on the same queries", name, metric, mine, verdict, value)
    if takes != "texts":
        logger.info("model: %s/model", cfg.checkpoint.dir)
    logger.info("index: %s", cfg.index.dir)
    logger.info("runs and metrics: %s", cfg.retrieve.out_dir)
    return metrics


def bm25_baselines(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """BM25's metrics on the query sets that have qrels, where ``config.baseline=bm25`` asks for them.

    They are measured under the conventions of the model's own.
    """
    if cfg.baseline.name is None or named_engine(cfg) == "bm25":
        return {}
    settings = {"k1": cfg.baseline.k1, "b": cfg.baseline.b}
    rules, found = conventions_of(cfg.get("conventions")), {}
    for chosen, queries in zip(query_sets(cfg), cfg.retrieve.queries, strict=True):
        if chosen.qrels is not None:
            own, k = SelfMatches(rules.self_matches, chosen.name), cfg.search.top_k
            ranked = rankings(open_collection(cfg.index.collection), open_queries(queries), own.depth(k), **settings)
            kept = own.of_rankings(ranked, k)
            run = {one.query_id: dict(zip(one.doc_ids, one.scores.tolist(), strict=True)) for one in kept}
            found[chosen.name] = measured(run, read_qrels(chosen.qrels), chosen.metrics, rules, own).metrics
    return found


main = command(all_steps)

if __name__ == "__main__":
    main()
