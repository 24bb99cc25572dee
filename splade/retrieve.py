"""Encode query sets, search the index, write the runs, and evaluate them."""

from pathlib import Path

from omegaconf import DictConfig

from splade.chosen_model import retriever_from
from splade.config import command
from splade.data.collections import open_queries
from splade.evaluate import evaluate
from splade.indexing import InvertedIndex
from splade.pipeline import answer, check_fingerprint, encoder_from
from splade.preflight import check_retrieval
from splade.search import Searcher


def retrieve(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Search every query set of ``data.Q_COLLECTION_PATH``; the metrics by name of the set."""
    check_retrieval(cfg)
    query_sets = [open_queries(path) for path in cfg.retrieve.queries]
    model = retriever_from(cfg)
    index = InvertedIndex.open(cfg.index.dir)
    fingerprint = check_fingerprint(index, model, cfg.search.force)
    encoder = encoder_from(cfg, model, "query")
    searcher = Searcher(index, strategy=cfg.search.strategy)
    for name, queries in zip(cfg.retrieve.names, query_sets, strict=True):
        answer(searcher, encoder, queries, Path(cfg.retrieve.out_dir) / name, cfg.search, fingerprint=fingerprint)
    return evaluate(cfg)


main = command(retrieve)

if __name__ == "__main__":
    main()
