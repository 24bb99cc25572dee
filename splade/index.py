"""Write the inverted index of a collection, encoded now, or of vectors that are there already."""

import logging
import os
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from splade.config import command
from splade.config.composing.processes import one_of_several
from splade.data.vectors.vectors import open_vectors
from splade.dense.index import DenseIndex
from splade.files import InputError
from splade.indexing import Index
from splade.workflow.sparse_search import Documents, build_index, given_documents

if TYPE_CHECKING:
    from splade.models import SparseRetriever

logger = logging.getLogger(__name__)


def index(cfg: DictConfig) -> Index | DenseIndex | None:
    """Index ``data.COLLECTION_PATH``, or the vectors of ``data.VECTORS_PATH``, into ``config.index_dir``.

    An interrupted run is continued. The vectors of a dense model get an index of their own kind. Under torchrun each
    process encodes its share of the collection; the first one makes the index, and the others return None.
    """
    if one_of_several(os.environ):
        from splade.training.distributed.processes import process_group
        from splade.workflow.together import encode_share

        with process_group(os.environ):
            first = encode_share(cfg)
        return make_index(cfg) if first else None
    if not cfg.index.vectors:
        from splade.models.backbones.devices import tell_unused_gpus

        tell_unused_gpus(os.environ)
    return make_index(cfg)


def make_index(cfg: DictConfig) -> Index | DenseIndex:
    """The index, by this process alone, of what others have encoded already where they have."""
    if cfg.index.vectors:
        return inverted(cfg, given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys)))
    # Only here: vectors that are there already are indexed without torch.
    from splade.workflow.dense_search import index_dense
    from splade.workflow.model_loading import retriever_from
    from splade.workflow.together import forget_shares, vectors_of_all

    model = retriever_from(cfg)
    if not getattr(model, "is_sparse", True):
        if cfg.index.head_vectors:
            raise InputError(
                f"data.HEAD_VECTORS_PATH={cfg.index.head_vectors}: a dense model has no BM25's weights; remove it"
            )
        return index_dense(cfg, model)
    built = inverted(cfg, vectors_of_all(cfg, encoded(cfg, model)))
    forget_shares(cfg.index.dir)
    return built


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
    """The vectors of ``data.COLLECTION_PATH`` by ``model``, whose head may have been computed before."""
    from splade.data.collections.opening import open_collection
    from splade.workflow.encoding import encoded_documents, encoder_from

    collection, encoder = open_collection(cfg.index.collection), encoder_from(cfg, model, "document")
    if cfg.index.head_vectors:
        from splade.workflow.head_vectors import documents_from_head

        return documents_from_head(encoder, collection, open_vectors(cfg.index.head_vectors))
    return encoded_documents(encoder, collection)


main = command(index)

if __name__ == "__main__":
    main()
