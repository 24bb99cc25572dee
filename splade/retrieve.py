"""Search an index with query sets, encoded now or given as vectors, write the runs, and evaluate them."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.evaluate import evaluate
from splade.indexing import Index, InvertedIndex
from splade.pipeline import answer
from splade.preflight import check_retrieval
from splade.query_terms import Queries, given_queries
from splade.search import Searcher


def retrieve(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Search every query set of ``data.Q_COLLECTION_PATH``, or ``data.Q_VECTORS_PATH``; the metrics by its name."""
    check_retrieval(cfg)
    index = InvertedIndex.open(cfg.index.dir)
    query_sets = given(cfg, index) if cfg.retrieve.vectors else encoded(cfg, index)
    searcher = Searcher(index, strategy=cfg.search.strategy)
    for name, queries in zip(cfg.retrieve.names, query_sets, strict=True):
        answer(searcher, queries, Path(cfg.retrieve.out_dir) / name, cfg.search)
    return evaluate(cfg)


def given(cfg: DictConfig, index: Index) -> Iterator[Queries]:
    """The vectors of ``data.Q_VECTORS_PATH``, set by set."""
    for source in cfg.retrieve.vectors:
        yield given_queries(source, index, cfg.retrieve.vector_keys)


def encoded(cfg: DictConfig, index: Index) -> Iterator[Queries]:
    """The vectors of ``data.Q_COLLECTION_PATH`` by the model of the config, set by set."""
    # Only here: vectors that are there already are searched without torch.
    from splade.chosen_model import retriever_from
    from splade.data.collections import open_queries
    from splade.encoded import QueryEncoder, encoder_from

    encoder = QueryEncoder(encoder_from(cfg, retriever_from(cfg), "query"), index, cfg.search.force)
    for source in cfg.retrieve.queries:
        yield encoder.encode(open_queries(source))


main = command(retrieve)

if __name__ == "__main__":
    main()
