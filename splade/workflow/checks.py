"""Checks, before a long command begins, for what would stop it in the end."""

from collections.abc import Sequence

from omegaconf import DictConfig

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.vectors.vectors import VectorCollection, open_vectors
from splade.engines.folders import engines_in
from splade.files import InputError, check_writable
from splade.workflow.engines import engine_at, named_engine
from splade.workflow.query_sets import QuerySet, query_sets
from splade.workflow.searching import pruning_said


def check_all(cfg: DictConfig) -> None:
    """InputError for what `all` would fail on after the training. Reads the collection and the queries once."""
    check_retrieval(cfg)
    for source in (*cfg.retrieve.queries, cfg.flops.queries):
        if source:
            len(open_queries(source))
    len(open_collection(cfg.index.collection))
    if not engines_in(cfg.index.dir):
        check_writable(cfg.index.dir)


def check_retrieval(cfg: DictConfig) -> None:
    """InputError for what `retrieve` would fail on after the search. Reads the qrels and the ids of their queries."""
    check_search(cfg)
    check_writable(cfg.retrieve.out_dir)
    for chosen, queries in zip(query_sets(cfg), _queries(cfg), strict=True):
        if chosen.qrels is not None:
            _check_judged(chosen, queries)


def check_search(cfg: DictConfig) -> None:
    """InputError where the engine does not take its settings, or queries to prune, or where ``top_k`` is a list."""
    engine = engine_at(cfg, named_engine(cfg) or str(cfg.kinds.engine), None)
    if engine.takes != "sparse" and (said := pruning_said(cfg.search)):
        raise InputError(
            f"{said}: this engine takes {engine.takes}, and only sparse queries have terms to leave out. Remove it"
        )
    if not isinstance(cfg.search.top_k, int):
        raise InputError(f"config.top_k={cfg.search.top_k}: give one whole number; a list is for splade rerank")


def _queries(cfg: DictConfig) -> Sequence[Collection | VectorCollection]:
    if cfg.retrieve.vectors:
        return [open_vectors(source, cfg.retrieve.vector_keys) for source in cfg.retrieve.vectors]
    return [open_queries(source) for source in cfg.retrieve.queries]


def _check_judged(chosen: QuerySet, queries: Collection | VectorCollection) -> None:
    qrels = read_qrels(str(chosen.qrels))
    if not (queries.find(list(qrels)) >= 0).any():
        few = ", ".join(repr(query) for query in list(qrels)[:3])
        address = "data.Q_COLLECTION_PATH" if isinstance(queries, Collection) else "data.Q_VECTORS_PATH"
        raise InputError(
            f"{chosen.name}: none of the {len(qrels)} queries judged in {chosen.qrels} ({few} …) is among those of "
            f"{queries.source}. data.EVAL_QREL_PATH and {address} must be of the same collection and split"
        )


def check_training_data(cfg: DictConfig, *needed: str) -> None:
    """InputError where the training data has no texts by id, or no qrels."""
    missing = [name for name in needed if cfg.mine[name] is None]
    if missing:
        raise InputError(
            f"data.type={cfg.kinds.examples} has no {' and no '.join(missing)}: set data.type=hard_negatives with "
            "data.TRAIN.Q_COLLECTION_PATH, D_COLLECTION_PATH and QREL_PATH (as train/data=msmarco_mined does)"
        )
