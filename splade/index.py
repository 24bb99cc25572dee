"""Write the inverted index of a collection, encoded now, or of vectors that are there already."""

import logging
import os

from omegaconf import DictConfig

from splade.config import command
from splade.config.composing.processes import one_of_several
from splade.data.collections.opening import open_collection
from splade.data.vectors.vectors import open_vectors
from splade.engines import Opened
from splade.workflow.costs import build
from splade.workflow.engines import chosen_engine, engine_of_vectors
from splade.workflow.exported.settings import exported_folder
from splade.workflow.given_vectors import given_documents

logger = logging.getLogger(__name__)


def index(cfg: DictConfig) -> Opened | None:
    """Index ``data.COLLECTION_PATH``, or the vectors of ``data.VECTORS_PATH``, into ``config.index_dir``.

    The engine is that of ``config.engine``, or the model's own. An interrupted run is continued. Under torchrun each
    process encodes its share of the collection; the first one makes the index, and the others return None.
    """
    if one_of_several(os.environ):
        from splade.training.distributed.processes import process_group
        from splade.workflow.together import encode_share

        with process_group(os.environ):
            first = encode_share(cfg)
        return make_index(cfg) if first else None
    if not cfg.index.vectors and exported_folder(cfg) is None:
        from splade.models.backbones.devices import tell_unused_gpus

        tell_unused_gpus(os.environ)
    return make_index(cfg)


def make_index(cfg: DictConfig) -> Opened:
    """The index, by this process alone, of what others have encoded already where they have."""
    if cfg.index.vectors:
        return tell(of_vectors(cfg), cfg)
    chosen = chosen_engine(cfg)
    engine = chosen.at(cfg.index.dir)
    documents = chosen.source.documents(open_collection(cfg.index.collection), cfg.index.head_vectors)
    if chosen.source.kind != "sparse":
        return tell(build(engine, documents, cfg.index.dir), cfg)
    # Only here: texts, and vectors that are given, are indexed without torch.
    from splade.workflow.together import forget_shares, vectors_of_all

    built = build(engine, vectors_of_all(documents, cfg.index.dir), cfg.index.dir)
    forget_shares(cfg.index.dir)
    return tell(built, cfg)


def of_vectors(cfg: DictConfig) -> Opened:
    """The index of the vectors of ``data.VECTORS_PATH``; InputError where the engine takes no sparse vectors."""
    engine = engine_of_vectors(cfg, f"data.VECTORS_PATH={cfg.index.vectors}")
    return build(engine, given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys)), cfg.index.dir)


def tell(built: Opened, cfg: DictConfig) -> Opened:
    """``built``, with a line about it in the log."""
    told = built.facts()["index"]
    each = f"{told['L0_d']:.1f} terms" if "L0_d" in told else f"{built.vocab_size} numbers"
    logger.info("index: %d documents, %s each, in %s", built.n_docs, each, cfg.index.dir)
    return built


main = command(index)

if __name__ == "__main__":
    main()
