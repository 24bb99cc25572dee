"""Run files and result folders under the paths that a user names, and a name for each system among them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from splade.evaluation.runs import RUNS
from splade.files import InputError
from splade.results import Result, is_result, read_result

SUFFIXES = (".gz", ".trec", ".json", ".run", ".txt", ".tsv")


class Place(NamedTuple):
    """A run of one system on one query set: a file, or a folder with its result."""

    path: Path
    result: Result | None = None  # None: a run that nobody evaluated here

    @property
    def dataset(self) -> str | None:
        """The name of the query set; None where nothing tells."""
        return None if self.result is None else self.result.dataset

    @property
    def qrels(self) -> str | None:
        """The path of the judgements; None where nothing tells."""
        told = None if self.result is None else self.result.fact("qrels")
        return None if told is None else str(told)


class Found(NamedTuple):
    """A system by the name of its path, with its runs on one or more query sets."""

    path: Path
    name: str
    places: list[Place]


def places_in(path: str | Path) -> list[Found]:
    """The systems under ``path``: one for a run, a result, or a folder of results; else one for each such folder in it.

    InputError where there is no run, and where a folder has two results on one query set.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such run file or result folder")
    if path.is_file():
        return [Found(path, _stem(path), [Place(path)])]
    if (own := _place(path)) is not None:
        return [_system(path, [own])]
    within = _results_in(path)
    if within:
        return [_system(path, within)]
    systems = [_system(folder, places) for folder in _folders(path) if (places := _results_in(folder))]
    if not systems:
        raise InputError(
            f"{path}: neither a run file nor a result: no folder in it has perf.json. Run splade.retrieve or "
            "splade.evaluate first, or name the run itself"
        )
    return systems


def named(systems: Sequence[Found], names: Sequence[str] | None = None) -> dict[str, list[Place]]:
    """The runs of each system by its name: that of ``names``, or its own.

    Systems with the same name of their own are called by the folder in which their paths differ. InputError where
    that tells them not apart, or ``names`` are too few, too many or the same.
    """
    given = list(names) if names is not None else _told_apart(systems)
    if len(given) != len(systems):
        raise InputError(
            f"compare.names={given}: {len(given)} names for {len(systems)} systems, which are "
            f"{', '.join(str(system.path) for system in systems)}"
        )
    same = sorted({name for name in given if given.count(name) > 1})
    if same:
        paths = [str(system.path) for name, system in zip(given, systems, strict=True) if name in same]
        raise InputError(
            f"{', '.join(paths)}: {len(paths)} systems are called {' and '.join(map(repr, same))}; give each a name of "
            "its own, as 'compare.names=[A,B]'"
        )
    return {name: system.places for name, system in zip(given, systems, strict=True)}


def _told_apart(systems: Sequence[Found]) -> list[str]:
    names = [system.name for system in systems]
    found = list(names)
    for name in dict.fromkeys(names):
        alike = [number for number, other in enumerate(names) if other == name]
        parts = [systems[number].path.resolve().parts[::-1] for number in alike]
        for level in zip(*parts, strict=False):
            if 1 < len(alike) == len(set(level)):
                for number, part in zip(alike, level, strict=True):
                    found[number] = _without_suffixes(part)
                break
    return found


def _system(path: Path, places: list[Place]) -> Found:
    sets = [str(place.dataset) for place in places]
    for place, name in zip(places, sets, strict=True):
        if sets.count(name) > 1:
            both = [str(other.path) for other in places if other.dataset == place.dataset]
            raise InputError(
                f"{path}: {' and '.join(both)} are results on the same query set {name!r}; name them one by one in "
                "compare.runs"
            )
    told = {place.result.fact("system") for place in places if place.result is not None}
    own = told.pop() if len(told) == 1 else None
    return Found(path, str(own or path.resolve().name), places)


def _results_in(folder: Path) -> list[Place]:
    """The results in the folders of ``folder``, and in those of its folder ``beir``."""
    inner = [*_folders(folder), *_folders(folder / "beir")]
    return [Place(path, read_result(path)) for path in inner if is_result(path)]


def _place(folder: Path) -> Place | None:
    if is_result(folder):
        return Place(folder, read_result(folder))
    return Place(folder) if any((folder / name).is_file() for name in RUNS) else None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _stem(path: Path) -> str:
    """The name of a run file; that of its folder where it is called as all runs are."""
    stem = _without_suffixes(path.name)
    return path.resolve().parent.name if stem == "run" else stem


def _without_suffixes(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix) or name
    return name
