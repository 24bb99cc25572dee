"""Write the inverted index of a collection, encoded now, or of vectors that are there already."""

import logging
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from splade.config import command
from splade.data.vectors import open_vectors
from splade.indexing import Index
from splade.indexing.dense import DenseIndex
from splade.pipeline import Documents, build_index, given_documents

if TYPE_CHECKING:
    from splade.models import SparseRetriever

logger = logging.getLogger(__name__)


def index(cfg: DictConfig) -> Index | DenseIndex:
    """Index ``data.COLLECTION_PATH``, or the vectors of ``data.VECTORS_PATH``, into ``config.index_dir``.

    An interrupted run is continued. The vectors of a dense model get an index of their own kind.
    """
    if cfg.index.vectors:
        return inverted(cfg, given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys)))
    # Only here: vectors that are there already are indexed without torch.
    from splade.chosen_model import retriever_from
    from splade.dense_vectors import index_dense

    model = retriever_from(cfg)
    return inverted(cfg, encoded(cfg, model)) if getattr(model, "is_sparse", True) else index_dense(cfg, model)


def inverted(cfg: DictConfig, documents: Documents) -> Index:
    """The inverted index of ``documents`` in ``config.index_dir``."""
    built = build_index(documents, cfg.index.dir, memory_mb=cfg.index.memory_mb, layout=cfg.index.layout)
    logger.info(
        "index: %d documents, %.1f terms each, in %s",
        built.n_docs,
        built.n_postings / max(built.n_docs, 1),
        cfg.index.dir,
    )
    return built


def encoded(cfg: DictConfig, model: "SparseRetriever") -> Documents:
    """The vectors of ``data.COLLECTION_PATH`` by ``model``."""
    from splade.data.collections import open_collection
    from splade.encoded import encoded_documents, encoder_from

    collection = open_collection(cfg.index.collection)
    return encoded_documents(encoder_from(cfg, model, "document"), collection)


main = command(index)

if __name__ == "__main__":
    main()
