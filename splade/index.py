"""Encode a collection and write its inverted index."""

import logging

from omegaconf import DictConfig

from splade.chosen_model import retriever_from
from splade.config import command
from splade.data.collections import open_collection
from splade.indexing import Index
from splade.pipeline import encoder_from, index_collection

logger = logging.getLogger(__name__)


def index(cfg: DictConfig) -> Index:
    """Index ``data.COLLECTION_PATH`` into ``config.index_dir``; an interrupted run is continued."""
    collection = open_collection(cfg.index.collection)
    encoder = encoder_from(cfg, retriever_from(cfg), "document")
    built = index_collection(encoder, collection, cfg.index.dir, memory_mb=cfg.index.memory_mb)
    logger.info(
        "index: %d documents, %.1f terms each, in %s",
        built.n_docs,
        built.n_postings / max(built.n_docs, 1),
        cfg.index.dir,
    )
    return built


main = command(index)

if __name__ == "__main__":
    main()
