"""Costs and conditions, kept where they arise: of an index beside it, of a search in its result folder."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config import save_config
from splade.config.checking.wiring import PATCHES
from splade.engines.protocol import Documents, Engine, Opened
from splade.files import InputError, read_json, write_json
from splade.results.conditions import conditions
from splade.results.cost import Meter, sum_of

FILE = "build_costs.json"


def build(engine: Engine, documents: Documents, folder: str | Path) -> Opened:
    """Build ``documents`` into ``engine`` at ``folder``, and keep what it cost.

    ``build_costs.json``, beside what was built, has the costs by engine. ``encode_seconds`` is what the engine waited
    for vectors (of given vectors and of texts: for their being read), ``index_seconds`` the rest. An interrupted build
    adds what it cost so far (Ctrl-C, not a kill) to that of its continuation. What is kept keeps its costs too.
    """
    waited = [0.0]
    read = Clocked(documents.batches, waited)
    meter = Meter()
    try:
        with meter:
            opened = engine.build(documents._replace(batches=read))
    except KeyboardInterrupt:
        if read.began:
            add_costs(folder, _costs(meter, waited[0]))
        raise
    if read.began:
        costs = sum_of(_unfinished(folder), _costs(meter, waited[0]))
        place = _place(opened)
        if place is not None:
            write_json(place, _read(place) | {_engine(opened): {"of": _state(opened), **costs}})
        _path(folder).unlink(missing_ok=True)
    return opened


class Clocked:
    """``batches`` of documents; adds the seconds that they take to ``waited``, and says whether any were asked for."""

    def __init__(self, batches: Callable[[int], Iterable[Any]], waited: list[float]) -> None:
        self.batches, self.waited, self.began = batches, waited, False

    def __call__(self, start: int) -> Iterable[Any]:
        self.began = True
        batches, done = iter(self.batches(start)), object()
        while True:
            began = time.perf_counter()
            batch = next(batches, done)
            self.waited[0] += time.perf_counter() - began
            if batch is done:
                return
            yield batch


def add_costs(folder: str | Path, costs: dict[str, Any]) -> None:
    """Add ``costs`` to those of the index at ``folder`` that is not finished yet."""
    write_json(_path(folder), sum_of(_unfinished(folder), costs))


def build_costs(opened: Opened) -> dict[str, Any]:
    """Read the costs of what is ``opened``; {} where they are not known, as of what was changed since."""
    place = _place(opened)
    costs = {} if place is None else dict(_read(place).get(_engine(opened), {}))
    return costs if costs.pop("of", None) == _state(opened) else {}


def write_conditions(folder: str | Path, cfg: DictConfig) -> None:
    """Write ``stats/conditions.json`` and ``config.yaml`` of a result into its ``folder``.

    A tree that was made by hand, without the wiring, has no values that would compose to it, and leaves no file.
    """
    folder = Path(folder)
    write_json(folder / "stats" / "conditions.json", conditions(OmegaConf.select(cfg, "config.seed")))
    if PATCHES in cfg:
        save_config(cfg, folder / "config.yaml")


def _costs(meter: Meter, waited: float) -> dict[str, Any]:
    told = meter.told()
    return {"encode_seconds": waited, "index_seconds": max(told.pop("seconds") - waited, 0.0)} | told


def _place(opened: Opened) -> Path | None:
    """The file of costs: in the folder that the engine has, or beside its file; None for a place that is no path."""
    if opened.path is None or not Path(opened.path).exists():
        return None
    path = Path(opened.path)
    return (path if path.is_dir() else path.parent) / FILE


def _engine(opened: Opened) -> str:
    return str(opened.facts().get("engine", type(opened).__name__))


def _state(opened: Opened) -> list[Any]:
    return [opened.fingerprint, opened.n_docs]


def _path(folder: str | Path) -> Path:
    return Path(folder).with_name(f".{Path(folder).name}.costs.json")


def _unfinished(folder: str | Path) -> dict[str, Any]:
    return _read(_path(folder))


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (InputError, OSError, ValueError):
        return {}
