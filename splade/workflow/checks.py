"""Checks, before a long command begins, for what would stop it in the end."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.vectors.vectors import VectorCollection, open_vectors
from splade.files import InputError, check_writable
from splade.indexing.index.inverted_index import FOLDER
from splade.search.searcher import STRATEGIES, check_strategy
from splade.workflow.query_sets import QuerySet, query_sets


def check_all(cfg: DictConfig) -> None:
    """InputError for what `all` would fail on after the training. Reads the collection and the queries once."""
    check_retrieval(cfg)
    for source in (*cfg.retrieve.queries, cfg.flops.queries):
        if source:
            len(open_queries(source))
    len(open_collection(cfg.index.collection))
    if not (Path(cfg.index.dir) / FOLDER).is_dir():
        check_writable(cfg.index.dir)


def check_retrieval(cfg: DictConfig) -> None:
    """InputError for what `retrieve` would fail on after the search. Reads the qrels and the ids of their queries."""
    check_search(cfg.search)
    check_writable(cfg.retrieve.out_dir)
    for chosen, queries in zip(query_sets(cfg), _queries(cfg), strict=True):
        if chosen.qrels is not None:
            _check_judged(chosen, queries)


def check_search(settings: DictConfig) -> None:
    """InputError where ``search`` asks for a strategy that is not there, or for more than one depth."""
    try:
        check_strategy(settings.strategy, {})
    except ValueError as error:
        near = f"accepted are {', '.join(STRATEGIES)}, or the dotted path of a class"
        raise InputError(f"config.search.strategy={settings.strategy}: {near}; {error}") from error
    if not isinstance(settings.top_k, int):
        raise InputError(f"config.top_k={settings.top_k}: give one whole number; a list is for splade rerank")


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
