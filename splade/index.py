"""Write the inverted index of a collection, encoded now, or of vectors that are there already."""

import logging

from omegaconf import DictConfig

from splade.config import command
from splade.data.vectors import open_vectors
from splade.indexing import Index
from splade.pipeline import Documents, build_index, given_documents

logger = logging.getLogger(__name__)


def index(cfg: DictConfig) -> Index:
    """Index ``data.COLLECTION_PATH``, or the vectors of ``data.VECTORS_PATH``, into ``config.index_dir``.

    An interrupted run is continued.
    """
    documents = (
        given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys)) if cfg.index.vectors else encoded(cfg)
    )
    built = build_index(documents, cfg.index.dir, memory_mb=cfg.index.memory_mb, layout=cfg.index.layout)
    logger.info(
        "index: %d documents, %.1f terms each, in %s",
        built.n_docs,
        built.n_postings / max(built.n_docs, 1),
        cfg.index.dir,
    )
    return built


def encoded(cfg: DictConfig) -> Documents:
    """The vectors of ``data.COLLECTION_PATH`` by the model of the config."""
    # Only here: vectors that are there already are indexed without torch.
    from splade.chosen_model import retriever_from
    from splade.data.collections import open_collection
    from splade.encoded import encoded_documents, encoder_from

    collection = open_collection(cfg.index.collection)
    return encoded_documents(encoder_from(cfg, retriever_from(cfg), "document"), collection)


main = command(index)

if __name__ == "__main__":
    main()
