"""Search an index with query sets, encoded now or given as vectors, write the runs, and evaluate them."""

import logging
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.engines import Opened, Queries
from splade.evaluate import evaluate
from splade.workflow.checks import check_retrieval
from splade.workflow.engines import named_engine
from splade.workflow.evaluating.systems import system_of
from splade.workflow.searching import answer_sets, texts_asked, vectors_asked

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
    opened, query_sets, system = given(cfg) if cfg.retrieve.vectors else from_texts(cfg)
    answer_sets(opened, query_sets, cfg.retrieve.out_dir, cfg, system=system)
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


def given(cfg: DictConfig) -> tuple[Opened, Iterator[Queries], str]:
    """The index, the vectors of ``data.Q_VECTORS_PATH`` in its terms, set by set, and the name of the system."""
    opened, query_sets = vectors_asked(cfg)
    system = system_of(cfg, named_engine(cfg) or "inverted", ", ".join(map(str, cfg.retrieve.vectors)))
    return opened, query_sets, system


def from_texts(cfg: DictConfig) -> tuple[Opened, Iterator[Queries], str]:
    """The index, the queries of ``data.Q_COLLECTION_PATH`` as its engine takes them, and the name of the system."""
    opened, query_sets, chosen = texts_asked(cfg)
    return opened, query_sets, system_of(cfg, chosen.name, "" if chosen.source.kind == "texts" else None)


main = command(retrieve)

if __name__ == "__main__":
    main()
