"""Encode a collection, or one shard of it, into files that ``splade.index`` makes one index of."""

import os
from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from splade.chosen_model import retriever_from
from splade.config import command
from splade.data.collections.opening import open_collection
from splade.data.vectors.shards import Shard
from splade.encoded import encode_shard, encoder_from
from splade.files import check_writable
from splade.models.backbones.devices import tell_unused_gpus


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


def shard_of(setting: str | None, environment: Mapping[str, str]) -> Shard:
    """The shard that ``config.shard`` names, or this process's share of it where torchrun says there are several."""
    whole = Shard(1, 1) if setting is None else Shard.parse(setting)
    mine = Shard(int(environment.get("RANK", "0")) + 1, int(environment.get("WORLD_SIZE", "1")))
    return mine.within(whole)


main = command(encode)

if __name__ == "__main__":
    main()
