"""Encode a collection, or one shard of it, into files that ``splade.index`` makes one index of."""

import os
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.files import check_writable
from splade.workflow.exported.settings import exported_folder
from splade.workflow.scaling.shards import ShardEncoder, processes_in, refuse_other_cuts, scheduler_of, shards_of


def encode(cfg: DictConfig) -> Path:
    """Encode the documents of ``data.COLLECTION_PATH``, or shard ``config.shard`` of them, into ``config.out_dir``.

    They are cut into ``encoding.shards`` shards; by default one for each process. Under torchrun each process encodes
    its share of them, with ``encoding.scheduler=ray`` the actors of Ray Data do. A finished shard is left as it is, an
    interrupted one is continued. Returns the folder of the shard, or of all where there are several.
    """
    folder, n_processes = Path(cfg.encode.out_dir), processes_in(os.environ)
    shards_in = partial(shards_of, cfg.encode.shard, environment=os.environ)
    shards = shards_in(cfg.encode.n_shards or n_processes)
    check_writable(folder)
    if scheduler_of(cfg.encode.scheduler, n_processes) == "ray":
        from splade.workflow.scaling.on_ray import encode_on_ray

        return encode_on_ray(cfg, shards_in)
    if exported_folder(cfg) is None:
        from splade.models.backbones.devices import tell_unused_gpus  # only here: an exported model needs no torch

        tell_unused_gpus(os.environ)
    refuse_other_cuts(folder, shards)
    paths = list(map(ShardEncoder(cfg), shards)) if shards else []  # more processes than shards
    return paths[0] if len(paths) == 1 else folder


main = command(encode)

if __name__ == "__main__":
    main()
