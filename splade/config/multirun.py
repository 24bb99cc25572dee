"""``--multirun``: a command run once for each combination of values, here or through one of Hydra's launchers.

Each job writes into folders of its own, below those that the config names, and a table of what came out lies
beside them: ``sweep.tsv`` and ``sweep.md``, a row per job.
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from splade.config.composing.compose import parse_overrides
from splade.config.composing.errors import ConfigError
from splade.config.composing.processes import is_first, one_of_several
from splade.config.execution import run_one
from splade.files import InputError, whole_file

logger = logging.getLogger(__name__)

Compose = Callable[[Sequence[str]], DictConfig]


class Job(NamedTuple):
    """One combination of values."""

    name: str  # lr=1e-5,seed=2
    varied: dict[str, str]  # address and value of what differs between jobs
    overrides: list[str]  # all of them, its own folders included


class Sweep(NamedTuple):
    """The jobs of a ``--multirun``."""

    jobs: list[Job]
    launcher: list[str]  # overrides of Hydra's own settings
    folder: Path | None  # of the table; None where the command writes nothing


def plan(overrides: Sequence[str], writes: Sequence[str], compose: Compose, parts: Sequence[str] = ()) -> Sweep:
    """The jobs that ``overrides`` ask for, each complete and checked; ``writes`` are addresses of written folders.

    Jobs that differ in ``parts`` alone do parts of one piece of work, and write into one folder.
    """
    launcher = [text for text in overrides if text.lstrip("+").startswith(("hydra/", "hydra."))]
    own = [text for text in overrides if text not in launcher]
    varied = [each.key_or_group for each in parse_overrides(own) if each.is_sweep_override()]
    combined = [_job(job, varied) for job in _combinations(own)]
    _check_names(combined)
    configs = [compose(job.overrides) for job in combined]
    folder = None
    for address in writes:
        places = [str(OmegaConf.select(cfg, address)) for cfg in configs if OmegaConf.select(cfg, address) is not None]
        if not places or (len(combined) < 2 and not launcher):
            continue
        folder = folder or Path(os.path.commonpath([Path(place).absolute() for place in places]))
        if len(set(places)) < len(places):
            for job, place in zip(combined, places, strict=True):
                if name := _named({key: value for key, value in job.varied.items() if key not in parts}):
                    job.overrides.append(f"{address}={_quoted(str(Path(place) / name))}")
    for job in combined:
        compose(job.overrides)
    return Sweep(combined, launcher, folder)


def run(sweep: Sweep, one: Callable[[Sequence[str]], object], command: tuple[str, str], choice: Any) -> object:
    """Run every job, and write the table; what the last one returned. InputError where jobs failed, once all are done;
    where several processes run each job (torchrun), at once.

    ``one`` runs a job here; ``command`` (module and function) and ``choice`` say how a launcher's process does.
    """
    found: list[dict[str, Any]] = []
    result: object = None
    if sweep.launcher:
        found = _launched(sweep, command, choice)
        result = found[-1]
        tell(sweep, found)
        _refuse_failed(sweep, found)
        return result
    for number, job in enumerate(sweep.jobs):
        if len(sweep.jobs) > 1:
            logger.info("job %d of %d: %s", number + 1, len(sweep.jobs), job.name)
        try:
            result = one(job.overrides)
            found.append({"status": "done", **figures(result)})
        except InputError as error:
            if len(sweep.jobs) == 1 or one_of_several(os.environ):  # other processes wait in this job
                raise
            found.append({"status": f"failed: {error}"})
        tell(sweep, found)
    _refuse_failed(sweep, found)
    return result


def figures(result: object) -> dict[str, Any]:
    """The numbers in what a command returned, by dotted name; texts and numbers of a summary's fields."""
    if isinstance(result, int | float):
        return {"value": result}
    fields = result._asdict() if hasattr(result, "_asdict") else result if isinstance(result, Mapping) else {}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            inner = figures(value)
            found |= inner if name == "figures" else {f"{name}.{key}": number for key, number in inner.items()}
        elif isinstance(value, int | float | str) and not isinstance(value, bool):
            found[str(name)] = value
    return found


def tell(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of the jobs so far; by one process only."""
    if sweep.folder is None or not is_first(os.environ):
        return
    jobs = sweep.jobs[: len(rows)]
    lines = [{"job": job.name, **job.varied, **row} for job, row in zip(jobs, rows, strict=True)]
    names = list(dict.fromkeys(name for line in lines for name in line))
    cells = [[_cell(line.get(name, "")) for name in names] for line in lines]
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with whole_file(sweep.folder / "sweep.tsv") as stream:
        stream.writelines("\t".join(row) + "\n" for row in [names, *cells])
    table = [names, ["---"] * len(names), *cells]
    with whole_file(sweep.folder / "sweep.md") as stream:
        stream.writelines("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in table)
    if len(rows) == len(sweep.jobs):
        logger.info("what came out of %d jobs: %s", len(rows), sweep.folder / "sweep.md")


def in_launcher(command: tuple[str, str], choice: Any, jobs: Sequence[Job], cfg: DictConfig) -> dict[str, Any]:
    """In a launcher's process: run job number ``cfg.job`` and return its figures; as one of several where asked."""
    _as_torchrun_says()
    module, name = command
    running = GlobalHydra.instance()
    launcher, running.hydra = running.hydra, None  # the job composes a config of its own
    try:
        result = run_one(getattr(import_module(module), name), choice, jobs[cfg.job].overrides)
        return {"status": "done", **figures(result)}
    except InputError as error:
        return {"status": f"failed: {error}"}
    finally:
        running.hydra = launcher


def _launched(sweep: Sweep, command: tuple[str, str], choice: Any) -> list[dict[str, Any]]:
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path

    folder = sweep.folder or Path("multirun").absolute()
    settings = [
        f"+job={','.join(map(str, range(len(sweep.jobs))))}",
        f"hydra.sweep.dir={_quoted(str(folder / 'jobs'))}",
        "hydra.sweep.subdir=${hydra.job.num}",
        "hydra.output_subdir=null",
        *sweep.launcher,
    ]
    try:
        hydra = Hydra.create_main_hydra2("splade", create_config_search_path(None))
        task = functools.partial(in_launcher, command, choice, sweep.jobs)
        batches = hydra.multirun(config_name=None, task_function=task, overrides=settings)
    except HydraException as error:
        raise ConfigError(
            f"{' '.join(sweep.launcher)}: {str(error).splitlines()[0]}. SLURM's launcher comes with "
            "pip install 'splade[slurm]'"
        ) from error
    return [returned.return_value for batch in batches for returned in (batch if isinstance(batch, list) else [batch])]


def _as_torchrun_says() -> None:
    """Describe a job of several tasks (``hydra.launcher.tasks_per_node``) in the environment, as torchrun would."""
    if util.find_spec("submitit") is None:
        return
    import submitit

    try:
        several = submitit.JobEnvironment().num_tasks > 1
    except RuntimeError:  # another launcher's process
        return
    if several:
        submitit.helpers.TorchDistributedEnvironment().export(overwrite=True, set_cuda_visible_devices=False)


def _refuse_failed(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> None:
    failed = [
        f"{job.name}: {row['status']}" for job, row in zip(sweep.jobs, rows, strict=True) if row["status"] != "done"
    ]
    if failed:
        raise InputError(f"{len(failed)} of {len(rows)} jobs of --multirun failed\n  " + "\n  ".join(failed))


def _combinations(overrides: Sequence[str]) -> list[list[str]]:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    batches = BasicSweeper.split_arguments(parse_overrides(overrides), max_batch_size=None)
    return [list(job) for batch in batches for job in batch]


def _job(overrides: list[str], varied: Sequence[str]) -> Job:
    values = {each.key_or_group: each.get_value_element_as_str() for each in parse_overrides(overrides)}
    chosen = {key: values[key] for key in varied}
    return Job(_named(chosen), chosen, overrides)


def _named(chosen: Mapping[str, str]) -> str:
    """The name of a folder that says which values were chosen, by the last words of their addresses."""
    short = Counter(key.rpartition(".")[2] for key in chosen)
    named = (
        f"{key if short[key.rpartition('.')[2]] > 1 else key.rpartition('.')[2]}={value}"
        for key, value in chosen.items()
    )
    return "".join(_safe(",".join(named)))


def _check_names(jobs: Sequence[Job]) -> None:
    if len({job.name for job in jobs}) < len(jobs):
        raise ConfigError(
            "--multirun: two jobs have the same values, or values that differ only in signs no file can have"
        )


def _safe(text: str) -> Iterator[str]:
    return (letter if letter.isalnum() or letter in "=.,+-_" else "_" for letter in text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split())
