"""Query sets of a config, encoded now or given as vectors, and the opened engine that they ask.

This module starts without torch.
"""

from collections.abc import Iterator

from omegaconf import DictConfig

from splade.data.collections.opening import open_queries
from splade.engines import Opened, Queries
from splade.workflow.engines import Chosen, chosen_engine, engine_of_vectors
from splade.workflow.given_vectors import given_queries


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
