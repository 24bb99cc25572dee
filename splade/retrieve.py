"""Search an index with query sets, encoded now or given as vectors, write the runs, and evaluate them."""

import logging
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.dense.index import FOLDER as DENSE
from splade.evaluate import evaluate
from splade.indexing import Index, InvertedIndex
from splade.search import Searcher
from splade.workflow.checks import check_retrieval
from splade.workflow.query_vectors import Queries, given_queries
from splade.workflow.sparse_search import answer

logger = logging.getLogger(__name__)


def retrieve(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Search every query set of ``data.Q_COLLECTION_PATH``, or ``data.Q_VECTORS_PATH``; the metrics by its name."""
    check_retrieval(cfg)
    metrics = search_and_evaluate(cfg)
    if not cfg.retrieve.vectors and cfg.encoder.int8:
        tell_difference(cfg, metrics)
    return metrics


def search_and_evaluate(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Search every query set, write the runs, evaluate them."""
    if (Path(cfg.index.dir) / DENSE).is_dir():
        # Only here: an inverted index is searched with given vectors without torch.
        from splade.workflow.dense_search import is_dense, retrieve_dense

        if is_dense(cfg):
            retrieve_dense(cfg)
            return evaluate(cfg)
    index = InvertedIndex.open(cfg.index.dir)
    query_sets = given(cfg, index) if cfg.retrieve.vectors else encoded(cfg, index)
    searcher = Searcher(index, strategy=cfg.search.strategy)
    for name, queries in zip(cfg.retrieve.names, query_sets, strict=True):
        answer(searcher, queries, Path(cfg.retrieve.out_dir) / name, cfg.search)
    return evaluate(cfg)


def tell_difference(cfg: DictConfig, metrics: dict[str, dict[str, float]]) -> None:
    """Say what the queries' 8-bit products cost: the same with queries in float32, kept in ``float32/`` beside."""
    from splade.workflow.encoding import uses_int8

    if not uses_int8(cfg) or not metrics:
        return
    exact = deepcopy(cfg)
    OmegaConf.update(exact, "encoder.int8", False)
    OmegaConf.update(exact, "retrieve.out_dir", str(Path(cfg.retrieve.out_dir) / "float32"))
    for name, expected in search_and_evaluate(exact).items():
        for metric, value in expected.items():
            found = metrics[name][metric]
            logger.info(
                "%s %s: %.4f with queries in int8, %.4f in float32: %+.4f", name, metric, found, value, found - value
            )


def given(cfg: DictConfig, index: Index) -> Iterator[Queries]:
    """The vectors of ``data.Q_VECTORS_PATH``, set by set."""
    for source in cfg.retrieve.vectors:
        yield given_queries(source, index, cfg.retrieve.vector_keys, cfg.search.force)


def encoded(cfg: DictConfig, index: Index) -> Iterator[Queries]:
    """The vectors of ``data.Q_COLLECTION_PATH`` by the model of the config, set by set."""
    # Only here: vectors that are there already are searched without torch.
    from splade.data.collections.opening import open_queries
    from splade.workflow.encoding import QueryEncoder, encoder_from
    from splade.workflow.model_loading import retriever_from

    encoder = QueryEncoder(encoder_from(cfg, retriever_from(cfg), "query"), index, cfg.search.force)
    for source in cfg.retrieve.queries:
        yield encoder.encode(open_queries(source))


main = command(retrieve)

if __name__ == "__main__":
    main()
