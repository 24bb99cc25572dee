"""Measure an index with queries like those that come, so that approximate search keeps its promise on them."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.engines import Opened, Queries
from splade.engines.bm25 import OpenedBm25
from splade.engines.inverted import OpenedInverted, cut_docs, write_statistics
from splade.files import InputError
from splade.indexing import Index, calibrate_stored
from splade.kernels.sparse import concatenate
from splade.records import SparseBatch
from splade.workflow.searching import pruned_queries, texts_asked, vectors_asked

logger = logging.getLogger(__name__)


def calibrate(cfg: DictConfig) -> Index:
    """Store what the queries of ``data.Q_COLLECTION_PATH``, or ``data.Q_VECTORS_PATH``, let the index promise.

    All sets together are one sample; they are pruned as for a search. The calibration takes the place of an earlier
    one, and of that of made-up queries, for searches that open the index from now on.
    """
    given = cfg.retrieve.vectors
    opened, query_sets = vectors_asked(cfg) if given else texts_asked(cfg)[:2]
    rows = [_sparse(opened, queries, cfg).rows for queries in query_sets]
    source = ", ".join(str(one) for one in given or cfg.retrieve.queries)
    path = Path(cfg.index.dir)
    index = calibrate_stored(path, concatenate(rows), source, n_threads=cfg.search.n_threads)
    write_statistics(index, path, cut_docs(path))
    for number, part in enumerate(index.parts, 1):
        made = part.segment.calibration
        if made is not None:
            logger.info("%s, part %d of %d: calibrated on %s", path, number, len(index.parts), made.said)
            for line in made.lines():
                logger.info("%s", line)
    return index


def _sparse(opened: Opened, queries: Queries, cfg: DictConfig) -> SparseBatch:
    """The queries as vectors over the terms of the index, pruned; InputError where it is not an inverted index."""
    if isinstance(opened, OpenedBm25):
        return opened.vectors(queries.vectors)
    if not isinstance(opened, OpenedInverted):
        raise InputError(
            f"config.index_dir={cfg.index.dir}: only our inverted index has an approximate strategy to calibrate "
            "(config.engine=inverted or bm25)"
        )
    vectors: SparseBatch = pruned_queries(queries, cfg.search)[0].vectors
    return vectors


main = command(calibrate)

if __name__ == "__main__":
    main()
