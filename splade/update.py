"""Change an index that is there: delete documents, append others, make one index of what is left."""

import logging
from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.engines import Documents
from splade.engines.bm25 import is_bm25
from splade.engines.inverted import fill, write_statistics
from splade.files import InputError, text_lines
from splade.indexing import Index, IndexAppender, InvertedIndex, Vocabulary, delete, merge
from splade.workflow.given_vectors import given_appended, given_documents

logger = logging.getLogger(__name__)


def update(cfg: DictConfig) -> Index:
    """Delete the ids of ``data.DELETE_PATH``, append ``data.APPEND_PATH`` or ``data.VECTORS_PATH``, then merge.

    In this order, so that a document is replaced by one command; each part where its setting is there. Of each
    part, a search finds all or nothing, and an interrupted append is continued by the same command.
    """
    path, memory_mb, threads = Path(cfg.index.dir), cfg.index.memory_mb, cfg.index.layout.n_threads
    if not (cfg.changes.append or cfg.index.vectors or cfg.changes.delete or cfg.changes.merge):
        raise InputError(
            "nothing to do: set data.DELETE_PATH, data.APPEND_PATH, data.VECTORS_PATH or config.merge=true"
        )
    index = InvertedIndex.open(path)
    if is_bm25(index.fingerprint) and (cfg.changes.append or cfg.index.vectors):
        raise InputError(
            f"{path}: an index of BM25's weights, which depend on the mean length of all documents: index the whole "
            "collection again (splade.index engine=bm25). Deleting and merging are possible"
        )
    documents = _documents(cfg, index) if cfg.changes.append or cfg.index.vectors else None
    if cfg.changes.delete:
        ids = [line for _, line in text_lines(cfg.changes.delete) if line]
        logger.info("%s: %d documents deleted", path, delete(path, ids, ignore_missing=cfg.changes.ignore_missing))
    if documents is not None:
        appender = IndexAppender(path, memory_mb=memory_mb, resume=True, n_threads=threads)
        fill(appender, documents(appender.vocabulary), path)
    if cfg.changes.merge:
        merge(path, memory_mb=memory_mb, n_threads=threads)
    index = InvertedIndex.open(path)
    write_statistics(index, path)
    logger.info("index: %d documents in %d parts, %d deleted", index.n_docs, len(index.parts), index.n_deleted)
    return index


def _documents(cfg: DictConfig, index: Index) -> Callable[[Vocabulary | None], Documents]:
    """The documents to append, given the vocabulary that grows; refused before anything is changed."""
    if not cfg.changes.append:
        vectors = given_appended(cfg.index.vectors, index, cfg.index.vector_keys)
        return lambda vocabulary: given_documents(vectors, vocabulary)
    # Only here: vectors that are there already are appended without torch.
    from splade.data.collections.opening import open_collection
    from splade.workflow.encoding import check_fingerprint, encoded_documents, encoder_from
    from splade.workflow.exported.models import model_from

    model = model_from(cfg)
    check_fingerprint(index, model.fingerprint(), cfg.search.force)
    collection = open_collection(cfg.changes.append)
    return lambda _: encoded_documents(encoder_from(cfg, model, "document"), collection)


main = command(update)

if __name__ == "__main__":
    main()
