"""From a row to the commands that can run here, or the reason why they cannot."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from splade.expectations.rows import PLACEHOLDER, Row
from splade.files import InputError

SHORT = 8  # hexadecimal digits of a key in the name of a folder


class Places(NamedTuple):
    """Folders of data, models and results: ``data`` may be None, ``models`` is {name: folder or hub name}."""

    data: Path | None
    models: Mapping[str, str]
    out: Path
    version: str = ""  # of the program: values of another one are made again


class Run(NamedTuple):
    """The commands for one row on one set, of words ready to use; rows with equal commands share a run."""

    set_name: str
    folder: Path
    commands: tuple[tuple[str, ...], ...]
    result: str  # the folder below ``folder`` that holds perf.json, or PRINTED
    missing: tuple[str, ...] = ()  # reasons why it cannot run; placeholders then stand in the commands


def plan(row: Row, places: Places) -> list[Run]:
    """One run for each set of ``row``."""
    return [_run(row, name, places) for name in row.sets]


def refuse_unknown_models(rows: Sequence[Row], models: Mapping[str, str]) -> None:
    """InputError for a model that no row needs, with the nearest one that a row does."""
    known = sorted({need for row in rows for key, need in row.needs.items() if key.startswith("model")})
    for name in models:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"reproduce.models.{name}: no row needs such a model{hint}\nthere are: {', '.join(known)}")


def _run(row: Row, set_name: str, places: Places) -> Run:
    found: dict[str, str] = {"set": set_name}
    missing, states = [], {}
    for placeholder, need in row.needs.items():
        need = need.replace("{set}", set_name)
        place, reason = _data(need, places) if placeholder == "data" else _model(need, places)
        found[placeholder] = place
        states[placeholder] = state(Path(place))
        if reason:
            missing.append(reason)
    slug = re.sub(r"[^\w.]+", "-", row.needs.get("model", row.model)).strip("-")
    index = places.out / "indexes" / f"{slug}-{_key([slug, states, places.version])}"
    written = [_filled(command, found) for command in row.commands]  # {out} and {index} still stand in it
    what = row.needs.get("data", "").replace("{set}", set_name) or set_name
    folder = places.out / "runs" / f"{slug}-{what}-{_key([written, states, places.version])}"
    found |= {"out": str(folder), "index": str(index)}
    commands = tuple(tuple(_filled(command, found)) for command in row.commands)
    return Run(set_name, folder, commands, row.result.replace("{set}", set_name), tuple(missing))


def _filled(command: str, found: Mapping[str, str]) -> list[str]:
    """The words of ``command`` with ``found`` in the places that it has for it; others stay."""
    return [PLACEHOLDER.sub(lambda match: found.get(match[1], match[0]), word) for word in shlex.split(command)]


def _data(name: str, places: Places) -> tuple[str, str]:
    """The folder of the data called ``name``, or what stands for it and the reason."""
    if places.data is None:
        return f"DATA/{name}", f"needs the data of {name}: give reproduce.data_path=FOLDER that holds {name}/"
    looked = [places.data / name, places.data / "beir" / name]
    for folder in looked:
        if folder.is_dir():
            return str(folder), ""
    return f"DATA/{name}", f"needs the data of {name}: there is no {' and no '.join(map(str, looked))}"


def _model(name: str, places: Places) -> tuple[str, str]:
    """The folder (or hub name) given for the model called ``name``, or what stands for it and the reason."""
    given = places.models.get(name)
    if given is not None:
        return given, ""
    return f"MODEL/{name}", f"needs the model {name}: give reproduce.models.{name}=FOLDER, or its name on the hub"


def state(folder: Path) -> str:
    """A key of the files below ``folder``, by their names, sizes and dates; "" where there is no such folder."""
    if not folder.is_dir():
        return ""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    facts = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return _key(facts)


def _key(value: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:SHORT]
