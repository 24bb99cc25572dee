"""The shards of an encoding as tasks of Ray Data (``encoding.scheduler=ray``).

A data set of shard names goes through a pool of actors. Each loads the model once, reads the documents of a shard from
the collection itself and writes its folder, so that neither texts nor vectors pass through Ray's object store; both
lie where all machines see them under the same path. An actor has one task at a time, and the next name is read when
one is free: that is the back-pressure. Ray starts an actor whose process died again and repeats its task, which goes
on after the last whole piece.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config.composing.resolvers import register
from splade.config.words import told_of
from splade.data.vectors.shards import Shard, read_manifest
from splade.files import InputError
from splade.progress import progress
from splade.workflow.scaling.shards import ShardEncoder, refuse_other_cuts

logger = logging.getLogger(__name__)

Encode = Callable[[Shard], Path]
Batch = dict[str, Any]
"""The arrays of a batch of tasks, or of what came of them, by column."""


class Pool(NamedTuple):
    """The actors that encode: their number, and what each holds of a machine."""

    workers: int
    cpus: float
    gpus: float

    def fits(self, resources: Mapping[str, float]) -> bool:
        """True where a cluster with these ``resources`` can run all of them at once."""
        held = {"CPU": self.cpus, "GPU": self.gpus}
        return all(self.workers * each <= resources.get(name, 0.0) for name, each in held.items())


def pool_for(
    workers: int | None, cpus: float, gpus: float | None, n_shards: int | None, resources: Mapping[str, float]
) -> Pool:
    """The pool on a cluster with ``resources`` (processors and GPUs, as Ray names them).

    By default an actor has a GPU where there are any, and there are as many actors as GPUs, or one; never more than
    shards.
    """
    n_gpus = int(resources.get("GPU", 0.0))
    each = float(gpus) if gpus is not None else float(n_gpus > 0)
    wanted = workers or (max(int(n_gpus / each), 1) if each else 1)
    return Pool(min(wanted, n_shards or wanted), cpus, each)


def tasks_of(shards: Sequence[Shard]) -> list[dict[str, str]]:
    """A row of Ray's data set for each shard."""
    return [{"shard": str(shard)} for shard in shards]


class Worker:
    """An actor: encodes the shards whose names it is handed, with a model that it loads for the first of them.

    ``load`` makes the function that encodes; ``folder`` is where shards go, seen from ``home``, the folder that the
    command ran in. A shard for which more than ``retries`` processes died before this one is given up. An error that a
    user can repair is handed back in words, since Ray would tell it as a fault of the program.
    """

    def __init__(self, load: Callable[[], Encode], folder: str, home: str, retries: int) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
        self.folder, self.home, self.retries, self._load = Path(folder), home, retries, load
        self._encode: Encode | None = None

    def __call__(self, tasks: Batch) -> Batch:
        """For each of ``tasks["shard"]`` its documents, the seconds it took, and what went wrong ("": nothing)."""
        rows = [self._outcome(str(name)) for name in tasks["shard"]]
        return {name: np.array([row[name] for row in rows]) for name in ("shard", "n_docs", "seconds", "problem")}

    def _outcome(self, name: str) -> dict[str, Any]:
        began, n_docs, problem = time.perf_counter(), 0, ""
        try:
            os.chdir(self.home)
            n_docs = self._encoded(Shard.parse(name))
        except (InputError, OSError, InstantiationException) as error:
            told = told_of(error)
            if told is None:
                raise
            problem = told
        return {"shard": name, "n_docs": n_docs, "seconds": time.perf_counter() - began, "problem": problem}

    def _encoded(self, shard: Shard) -> int:
        tries = tries_of(self.folder, shard)
        died = tries.stat().st_size if tries.exists() else 0
        if died > self.retries:
            raise InputError(
                f"shard {shard}: {died} processes died while they encoded it; Ray's log has their last words "
                "(memory is the usual reason: config.index_retrieve_batch_size). What is whole is kept, and the "
                "same command goes on there; encoding.retries is the number of times that a shard is tried again"
            )
        tries.parent.mkdir(parents=True, exist_ok=True)
        with tries.open("ab") as stream:
            stream.write(b"x")  # of this process, should it die
        try:
            if self._encode is None:
                self._encode = self._load()
            return read_manifest(self._encode(shard)).n_docs
        finally:
            tries.unlink(missing_ok=True)


class Loading:
    """Loads in an actor what encodes, by the config of the command."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    def __call__(self) -> Encode:
        """The encoder of shards, on a GPU that is set as the config says."""
        register()
        instantiate(self.cfg.gpu)
        return ShardEncoder(self.cfg)


def tries_of(folder: Path, shard: Shard) -> Path:
    """The file that has a byte for each process that has begun ``shard`` and not come to an end."""
    return folder / f".{shard.folder}.tries"


def encode_on_ray(cfg: DictConfig, shards_in: Callable[[int], list[Shard]]) -> Path:
    """Encode ``shards_in(number)`` into ``config.out_dir`` by Ray; the folder.

    ``number`` is that of ``encoding.shards``, or of the actors. Ray is found as `ray.init` finds it (a cluster at
    ``RAY_ADDRESS``, or one that is begun here). InputError where a shard cannot be encoded; the others are whole then,
    or go on with the same command.
    """
    ray, settings, folder = ray_or_refuse(), cfg.encode, Path(cfg.encode.out_dir)
    begun_here = not ray.is_initialized()
    if begun_here:
        ray.init()
    try:
        resources = ray.cluster_resources()
        pool = pool_for(settings.workers, settings.cpus, settings.gpus, settings.n_shards, resources)
        shards = shards_in(settings.n_shards or pool.workers)
        refuse_other_cuts(folder, shards)
        if not pool.fits(resources):
            logger.warning(
                "%d actors of %g processors and %g GPUs each are more than the cluster has (%g and %g): Ray waits for "
                "more, or for ever; encoding.workers, encoding.cpus, encoding.gpus",
                *pool, resources.get("CPU", 0), resources.get("GPU", 0),
            )  # fmt: skip
        for shard in shards:
            tries_of(folder, shard).unlink(missing_ok=True)
        worker = (Loading(cfg), str(folder), str(Path.cwd()), int(settings.retries))
        logger.info("%d shards on %d actors of %g processors and %g GPUs", len(shards), *pool)
        _finish(_outcomes(ray, shards, pool, worker), len(shards))
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("encoding interrupted; the same command goes on after the last whole pieces") from error
    finally:
        if begun_here:
            ray.shutdown()
    logger.info("%d shards in %s", len(shards), folder)
    return folder


def ray_or_refuse() -> Any:
    """The module ``ray``, with Ray Data; InputError where it is not installed."""
    try:
        import_module("ray.data")
        return import_module("ray")
    except ImportError as error:
        raise InputError(
            f"encoding.scheduler=ray needs Ray Data ({error}): pip install 'splade[ray]', here and on every machine of "
            "the cluster"
        ) from error


def _outcomes(ray: Any, shards: Sequence[Shard], pool: Pool, worker: tuple[Any, ...]) -> Any:
    """The outcomes of all tasks as they come."""
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours counts shards
    tasks = ray.data.from_items(tasks_of(shards), override_num_blocks=len(shards))
    actors = ray.data.ActorPoolStrategy(size=pool.workers, max_tasks_in_flight_per_actor=1)
    resources: dict[str, float] = {"num_cpus": pool.cpus, "num_gpus": pool.gpus}
    done = tasks.map_batches(Worker, fn_constructor_args=worker, batch_size=1, compute=actors, **resources)
    return done.iter_rows()


def _finish(outcomes: Any, n_shards: int) -> None:
    """Follow the tasks to the end; InputError with the words of the first that failed."""
    with progress(desc="encode", unit="shard", total=n_shards) as bar:
        for row in outcomes:
            if row["problem"]:
                raise InputError(str(row["problem"]))
            logger.info("shard %s: %d documents, %.1f s", row["shard"], row["n_docs"], row["seconds"])
            bar.update()
