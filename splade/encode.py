"""Encode a collection, or one shard of it, into files that ``splade.index`` makes one index of."""

import os
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_collection
from splade.files import check_writable
from splade.models.backbones.devices import tell_unused_gpus
from splade.workflow.encoding import encode_shard, encoder_from, shard_of
from splade.workflow.model_loading import retriever_from


def encode(cfg: DictConfig) -> Path:
    """Encode the documents of ``data.COLLECTION_PATH``, or shard ``config.shard`` of them, into ``config.out_dir``.

    Under torchrun each process encodes its share, of the collection or of the shard. A finished shard is left as
    it is; an interrupted one is continued.
    """
    tell_unused_gpus(os.environ)
    folder = Path(cfg.encode.out_dir)
    shard = shard_of(cfg.encode.shard, os.environ)
    check_writable(folder / shard.folder)
    collection = open_collection(cfg.encode.collection)
    encoder = encoder_from(cfg, retriever_from(cfg), "document")
    return encode_shard(encoder, collection, shard, folder)


main = command(encode)

if __name__ == "__main__":
    main()
