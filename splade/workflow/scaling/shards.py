"""The shards of an encoding, shared out to processes that torchrun, SLURM or Ray starts.

A shard is the same file for file, whoever encodes it: its documents, its pieces and their bytes depend on the
collection, the model, the settings and the number of shards alone.
"""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from splade.data.collections.opening import open_collection
from splade.data.vectors.shards import Shard
from splade.files import InputError
from splade.workflow.encoding import about_vectors, encode_shard, encoder_from
from splade.workflow.exported.models import model_from

SCHEDULERS = ("ray",)
"""Those that this package hands the shards to; torchrun and SLURM start its processes."""


class ShardEncoder:
    """Encodes shards of ``data.COLLECTION_PATH`` into ``config.out_dir``, with one model that is loaded once."""

    def __init__(self, cfg: DictConfig) -> None:
        self.folder = Path(cfg.encode.out_dir)
        self.collection = open_collection(cfg.encode.collection)
        self.encoder = encoder_from(cfg, model_from(cfg), "document")
        self.about = about_vectors(self.encoder, self.collection)

    def __call__(self, shard: Shard) -> Path:
        """The folder of ``shard``; what is there of it already is kept."""
        return encode_shard(self.encoder, self.collection, shard, self.folder, self.about)


def shards_of(setting: str | None, n_shards: int, environment: Mapping[str, str]) -> list[Shard]:
    """This process's share of ``n_shards`` shards of the collection, or of the part that ``config.shard`` names.

    Process r of n, as torchrun numbers them, has the shards r + 1, r + 1 + n, …: all of them where it is alone.
    """
    whole = Shard(1, 1) if setting is None else Shard.parse(setting)
    rank, n_processes = int(environment.get("RANK", "0")), processes_in(environment)
    return [Shard(number, n_shards).within(whole) for number in range(rank + 1, n_shards + 1, n_processes)]


def processes_in(environment: Mapping[str, str]) -> int:
    """The number of processes that torchrun started; 1 without it."""
    return int(environment.get("WORLD_SIZE", "1"))


def scheduler_of(setting: str | None, n_processes: int) -> str | None:
    """The scheduler that starts the processes, None where it has started them; InputError for an unknown one."""
    if setting not in (None, *SCHEDULERS):
        raise InputError(f"encoding.scheduler={setting}: accepted are {', '.join(SCHEDULERS)}; or remove it")
    if setting is not None and n_processes > 1:
        raise InputError(f"encoding.scheduler={setting} starts its processes itself: run the command without torchrun")
    return setting


def refuse_other_cuts(folder: Path, shards: list[Shard]) -> None:
    """InputError where ``folder`` has shards of a collection that was cut into another number of them."""
    if not folder.is_dir() or not shards:
        return
    of = shards[0].of
    for entry in sorted(folder.glob("shard-*-of-*")):
        cut = entry.name.rpartition("-")[2]
        if cut.isdigit() and int(cut) != of:
            raise InputError(
                f"{folder}: holds shards of a collection cut into {int(cut)} ({entry.name}), and these would be of "
                f"{of}; index them apart. Name another config.out_dir, or encode with the same number of shards "
                "(encoding.shards, config.shard, processes)"
            )
