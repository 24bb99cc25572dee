"""Query sets of a config: names, qrels and metrics, and the judged documents that an index does not hold."""

import logging
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from splade.engines.folders import Known, open_folder
from splade.evaluation.coverage import unknown_documents
from splade.evaluation.metrics import check_metrics
from splade.files import InputError
from splade.records import Qrels

logger = logging.getLogger(__name__)


class QuerySet(NamedTuple):
    """A named set of queries, where its qrels are (None: it has none), and what to compute."""

    name: str
    qrels: str | None
    metrics: list[str]


def query_sets(cfg: DictConfig) -> list[QuerySet]:
    """The query sets of the config, with their metric names checked.

    Raises InputError where the lists of names, qrels and metrics do not belong together.
    """
    names, metrics = list(cfg.retrieve.names), list(cfg.retrieve.metrics)
    qrels = [None] * len(names) if cfg.retrieve.qrels is None else list(cfg.retrieve.qrels)
    if not len(names) == len(qrels) == len(metrics):
        raise InputError(
            f"config.retrieval_name has {len(names)} entries, data.EVAL_QREL_PATH {len(qrels)}, config.eval_metric "
            f"{len(metrics)}: give one entry per query set in each (null where a set has no qrels)"
        )
    if len(set(names)) < len(names):
        raise InputError(f"config.retrieval_name={names}: every query set needs a name of its own")
    sets = []
    for name, path, wanted in zip(names, qrels, metrics, strict=True):
        listed = [wanted] if isinstance(wanted, str) else list(wanted or [])
        try:
            check_metrics(listed)
        except ValueError as error:
            raise InputError(f"config.eval_metric, entry of {name}: {error}") from error
        sets.append(QuerySet(name, path, listed))
    return sets


def count_unknown(name: str, qrels: Qrels, index_dir: str | Path | None) -> int | None:
    """As `count_unknown_of`, of the index in a folder; None where it cannot be told."""
    try:
        opened = None if index_dir is None or not Path(index_dir).is_dir() else open_folder(index_dir)
    except InputError as error:
        logger.warning("%s: judged documents are not looked up in the index: %s", name, error)
        return None
    return None if opened is None else count_unknown_of(name, qrels, opened)


def count_unknown_of(name: str, qrels: Qrels, opened: Known) -> int:
    """Count the judged documents that no search of the index can find, with a warning.

    These are the documents that the index does not hold, and those that were deleted from it.
    """
    unknown = unknown_documents(qrels, opened.unknown)
    if unknown:
        logger.warning(
            "%s: %d judged documents are not in the index %s (%s …): they can never be found",
            name, len(unknown), opened.path, ", ".join(map(repr, unknown[:3])),
        )  # fmt: skip
    return len(unknown)
