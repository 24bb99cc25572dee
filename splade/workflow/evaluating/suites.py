"""A suite: one evaluation set after another with one system, in one process or several, and the table of all."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from splade.data.text_files.sources import NotDownloadedError
from splade.files import InputError, write_json
from splade.results import read_result
from splade.suites import averages_of, grid, index_name, missing_sets, parts_of
from splade.suites.averages import MEAN, with_composites
from splade.suites.catalogue import AVERAGES, COMPOSITES, units_of
from splade.workflow.costs import build
from splade.workflow.engines import Chosen
from splade.workflow.evaluating.suite_tasks import System, Task, evaluated, finished, rests_on, system_from

logger = logging.getLogger(__name__)

Metrics = dict[str, float]
First = Callable[[Callable[[], Any]], Any]
"""Does a piece of work in the first of several processes, and returns its result in all."""


def check_missing(cfg: DictConfig, tasks: Sequence[Task]) -> dict[str, str]:
    """The sets that are not at hand, and why, where ``beir.skip_missing=true`` lets the suite go on without them.

    InputError names them all otherwise, before any work, and where there is none left. Without a network that is every
    set whose files are not here; with one, a set that nobody knows.
    """
    sets = [task.one for task in tasks]
    missing = missing_sets(sets, cfg.beir.path, open_all=bool(cfg.beir.offline))
    if not missing:
        return {}
    each = "\n".join(f"  {name}: {problem}" for name, problem in missing.items())
    if not cfg.beir.skip_missing or len(missing) == len(sets):
        if len(sets) == 1:
            raise InputError(each.strip())
        ways = "" if cfg.beir.skip_missing else "; beir.skip_missing=true evaluates the others"
        raise InputError(f"{len(missing)} of {len(sets)} sets cannot be evaluated{ways}:\n{each}")
    logger.warning("%d of %d sets are left out, as beir.skip_missing=true says:\n%s", len(missing), len(sets), each)
    return missing


def run_suite(
    cfg: DictConfig, chosen: Chosen, tasks: Sequence[Task], skipped: dict[str, str], *, together: bool = False
) -> dict[str, Metrics]:
    """Evaluate each task and write ``beir/suite.json`` of ``config.out_dir`` after each; the metrics by set.

    ``together`` says that all processes of a group are here, with an engine whose encoding they share.
    """
    first = _first() if together else _alone
    system, results = system_from(chosen), dict[str, Metrics]()
    told: dict[str, Any] = {}
    places = [index_name(task.one, cfg.beir.path, alone=task.alone) for task in tasks]
    for number, task in enumerate(tasks):
        logger.info("%s: set %d of %d", task.title, number + 1, len(tasks))
        try:
            results[task.one.name], place = _one(chosen, system, task, first, together)
        except NotDownloadedError as error:
            if not cfg.beir.skip_missing:
                raise
            logger.warning("%s is left out: %s", task.title, error)
            skipped[task.one.name] = str(error)
            continue
        if not cfg.beir.keep_index and places[number] not in places[number + 1 :]:
            first(partial(drop_index, place))
        told = first(partial(write_suite, cfg, system, results, skipped))
    if not results:
        raise InputError(f"+beir.dataset={cfg.beir.dataset}: none of its sets could be evaluated (see the log)")
    first(lambda: _tell(cfg, told))
    return results


def _one(chosen: Chosen, system: System, task: Task, first: First, together: bool) -> tuple[Metrics, Path]:
    """The metrics of one set, measured now or before, and the folder of its index."""
    asked = chosen.cfg.beir

    def opened() -> Any:
        return parts_of(task.one, asked.path, titles=task.titles, alone=task.alone)

    if together:
        first(lambda: bool(opened()))  # one process downloads for all
    parts = opened()
    place = Path(chosen.cfg.index.dir) / "beir" / parts.stored_as
    documents = chosen.source.documents(parts.documents)
    state = rests_on(system, task, parts, documents)
    known = None if asked.again else first(lambda: finished(task, state))
    if known is not None:
        logger.info("%s holds this result already", task.folder)
        return known, place
    if not together:
        return evaluated(chosen, system, task, parts, build(chosen.at(place), documents, place), state), place
    from splade.workflow.together import encode_own_share, forget_shares, vectors_of_all

    encode_own_share(chosen, parts.documents, place)

    def searched() -> Metrics:
        built = build(chosen.at(place), vectors_of_all(documents, place), place)
        forget_shares(place)
        return evaluated(chosen, system, task, parts, built, state)

    return first(searched), place


def write_suite(
    cfg: DictConfig, system: System, results: Mapping[str, Metrics], skipped: Mapping[str, str]
) -> dict[str, Any]:
    """Write ``beir/suite.json``: the metrics of each set, those of earlier results of the same system, and averages."""
    out_dir = Path(cfg.retrieve.out_dir) / "beir"
    earlier = earlier_results(out_dir, system, without=[*results])
    every = {**results, **earlier}
    averages = averages_of(every, units_of(cfg.beir.dataset))
    told = {
        "system": system.name,
        "sets": every,
        "averages": averages.values,
        "incomplete": averages.incomplete,
        "earlier": sorted(earlier),
        "skipped": dict(skipped),
    }
    write_json(out_dir / "suite.json", told)
    return told


def earlier_results(out_dir: Path, system: System, without: Sequence[str]) -> dict[str, Metrics]:
    """Metrics, by set, of results in ``out_dir`` of the same system and conventions, other than ``without``."""
    found = {}
    for path in sorted(out_dir.rglob("perf.json")):
        name = path.parent.relative_to(out_dir).as_posix()
        if name in without:
            continue
        try:
            result = read_result(path.parent)
        except InputError:
            continue  # of something else; the suite is not about it
        if result.fact("rests_on.system") == system.state:
            found[name] = result.metrics
    return found


def drop_index(folder: Path) -> None:
    """Remove an index, as ``beir.keep_index=false`` asks for."""
    if folder.is_dir():
        shutil.rmtree(folder)
        logger.info("%s is removed (beir.keep_index=false)", folder)


def table_of(told: Mapping[str, Any]) -> str:
    """The rows of ``suite.json`` as text: each set, CQADupStack as one too, and the averages."""
    units = with_composites(told["sets"])
    rows = {name: units[name] for name in told["sets"]}
    rows |= {f"{name} ({len(parts)} forums)": units[name] for name, parts in COMPOSITES.items() if name in units}
    rows |= {f"= {name}": metrics for name, metrics in told["averages"].items() if name != "CQADupStack"}
    lines = [told["system"], grid(rows)]
    for name, lacking in told["incomplete"].items():
        if name != MEAN and 2 * len(lacking) > len(AVERAGES[name]):
            continue  # hardly begun; suite.json has it
        sets = "the suite" if name == MEAN else name
        lines.append(
            f"no average of {sets}: {len(lacking)} sets lack ({', '.join(lacking[:5])}{' …' * (len(lacking) > 5)})"
        )
    if told["earlier"]:
        lines.append(f"measured before: {', '.join(told['earlier'])}")
    if told["skipped"]:
        lines.append(f"left out: {', '.join(told['skipped'])}")
    return "\n".join(lines)


def _tell(cfg: DictConfig, told: Mapping[str, Any]) -> None:
    print(table_of(told))
    logger.info("runs and metrics: %s", Path(cfg.retrieve.out_dir) / "beir")


def _alone(work: Callable[[], Any]) -> Any:
    return work()


def _first() -> First:
    from splade.training.distributed.processes import on_first_rank

    return on_first_rank
