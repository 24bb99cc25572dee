"""Several processes make one index: each encodes its share of the collection, the first one makes the index of all.

The shares are shards of vectors in a hidden folder beside the index, named by what they are of, until the index is
there. They are continued where they were interrupted.
"""

import gc
import json
import logging
import os
import shutil
import zlib
from pathlib import Path

from omegaconf import DictConfig

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection
from splade.data.vectors.vectors import open_vectors
from splade.engines import Documents
from splade.results.cost import Meter
from splade.workflow.costs import add_costs
from splade.workflow.encoding import encode_shard, encoded_documents, encoder_from, shard_of
from splade.workflow.engines import Chosen, FromModel, chosen_engine, said
from splade.workflow.given_vectors import given_documents

logger = logging.getLogger(__name__)


def encode_share(cfg: DictConfig) -> bool:
    """Encode this process's share of ``data.COLLECTION_PATH``; True for the first process, which makes the index.

    Called by all processes of a group. Returns when all have encoded. Given vectors, dense ones, texts that no model
    reads, and an index that is there already are nobody's share.
    """
    from splade.training.distributed.processes import world  # here and below: one process may need no torch

    rank, n_processes = world()
    if n_processes == 1 or cfg.index.vectors or cfg.index.head_vectors:
        return rank == 0
    gc.collect()  # what a training before this left holds memory of the device
    chosen = chosen_engine(cfg)
    if is_shared(chosen):
        encode_own_share(chosen, open_collection(cfg.index.collection), cfg.index.dir)
    return rank == 0


def is_shared(chosen: Chosen) -> bool:
    """True where several processes share the encoding for an engine; said where they do not."""
    if isinstance(chosen.source, FromModel) and chosen.source.kind == "sparse":
        return True
    from splade.training.distributed.processes import world

    rank, n_processes = world()
    if rank == 0:
        logger.info(
            "an index of %s is made by one process: the other %d leave", said(chosen.source.kind), n_processes - 1
        )
    return False


def encode_own_share(chosen: Chosen, collection: Collection, index_dir: str | Path) -> None:
    """Encode this process's share of ``collection`` for the index at ``index_dir``, unless that is there already.

    Called by all processes of a group, of an engine that `is_shared`. Returns when all have encoded.
    """
    from splade.training.distributed.processes import meet, on_first_rank, world

    encoder = encoder_from(chosen.cfg, chosen.source.model, "document")  # type: ignore[attr-defined]
    documents = encoded_documents(encoder, collection)
    rank, n_processes = world()
    if not on_first_rank(lambda: chosen.at(index_dir).is_built(documents)):
        with Meter() as meter:
            encode_shard(encoder, collection, shard_of(None, os.environ), _folder(index_dir, documents, n_processes))
            meet()  # the slowest one's time is that of all
        if rank == 0:
            costs = meter.told()
            add_costs(index_dir, {"encode_seconds": costs.pop("seconds"), **costs})
    meet()


def vectors_of_all(documents: Documents, index_dir: str | Path) -> Documents:
    """``documents``, their vectors taken from the shares where all processes have encoded theirs."""
    folder = _folder(index_dir, documents, int(os.environ.get("WORLD_SIZE", "1")))
    if not folder.is_dir():
        return documents
    # How many texts were cut is what each process has said of its share.
    return documents._replace(batches=given_documents(open_vectors(folder)).batches, n_cut=None)


def forget_shares(index_dir: str | Path) -> None:
    """Remove the shares of the index at ``index_dir``, which is made."""
    index_dir = Path(index_dir)
    for folder in index_dir.parent.glob(f".{index_dir.name}.vectors-*"):
        shutil.rmtree(folder)


def _folder(index_dir: str | Path, documents: Documents, n_processes: int) -> Path:
    """The place of the shares, other for other texts, models and numbers of processes."""
    about = json.dumps([documents.fingerprint, documents.origin], sort_keys=True)
    path = Path(index_dir)
    return path.with_name(f".{path.name}.vectors-{zlib.crc32(about.encode()):08x}-of-{n_processes}")
