"""The settings that the user named, as against those that stand in a shipped config and that nobody chose.

Named are: what the command line sets, in the options that it chooses of a group too, and what a config of the user's
own sets. The options that a shipped config chooses are not. The saved config of a run speaks of the model that it
names: where the command line names another model, nothing of the file counts as named.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.composing.choose import Choice, conf_dir
from splade.config.composing.compose import Groups, parse_overrides

OF_THE_MODEL = ("init_dict.model_type_or_dir", "config.checkpoint_dir")
"""What names the model of a command."""
OWN = ("defaults", "hydra")
"""Keys of a config file that are Hydra's."""


def named(choice: Choice, overrides: Sequence[str]) -> list[str]:
    """The addresses that the user named, in the chosen config or in ``overrides``, sorted."""
    parsed, groups = parse_overrides(overrides), Groups([choice.directory, conf_dir()])
    found: set[str] = set()
    for override in parsed:
        if override.is_delete() or override.key_or_group.startswith("hydra"):
            continue
        if groups.is_group(override):
            found |= {address for file in _files(override, groups) for address in _set_in(file, groups.directories)}
        else:
            found |= set(_leaves(override.key_or_group, override.value()))
    if choice.directory != conf_dir() and not (_is_saved(choice.path) and found & set(OF_THE_MODEL)):
        found |= set(_set_in(choice.path, [choice.directory]))
    return sorted(found)


def _is_saved(path: Path) -> bool:
    """True where a config is complete without any defaults list, as those are that a run saves."""
    return "defaults" not in _loaded(path)


def _files(override: Any, groups: Groups) -> Iterator[Path]:
    """The files of the options that ``override`` chooses."""
    value = override.value()
    for option in value if isinstance(value, list) else [value]:
        if option is not None:
            name = f"{override.key_or_group}/{str(option).removesuffix('.yaml')}.yaml"
            yield from [directory / name for directory in groups.directories if (directory / name).is_file()][:1]


def _set_in(file: Path, directories: Sequence[Path]) -> Iterator[str]:
    """The addresses that ``file`` sets, and those of the files below ``directories`` that its defaults list names."""
    home = next((directory for directory in directories if file.is_relative_to(directory)), file.parent)
    loaded = _loaded(file)
    prefix = _package(file, file.parent.relative_to(home).as_posix().strip("./"))
    for name, value in loaded.items():
        if name not in OWN:
            yield from _leaves(f"{prefix}.{name}".strip("."), value)
    for entry in loaded.get("defaults") or []:
        for other in _listed(entry, file, directories):
            yield from _set_in(other, directories)


def _listed(entry: Any, file: Path, directories: Sequence[Path]) -> Iterator[Path]:
    """The files below ``directories`` that one entry of the defaults list of ``file`` stands for."""
    if entry == "_self_" or entry is None:
        return
    if isinstance(entry, dict):
        pairs = [(str(group).rpartition(" ")[2].partition("@")[0], option) for group, option in entry.items()]
    else:
        pairs = [("", str(entry).rpartition(" ")[2].partition("@")[0])]
    for group, options in pairs:
        for option in options if isinstance(options, list) else [options]:
            name = f"{group}/{option}".removesuffix(".yaml") + ".yaml"
            for directory in [file.parent, *directories] if not name.startswith("//") else directories:
                path = directory / name.lstrip("/")
                if path.is_file() and path != file:
                    yield path
                    break


def _package(file: Path, group: str) -> str:
    """Return the address that the values of ``file`` stand below: its group's, unless its first lines name another."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package "):
            name = line.removeprefix("# @package ").strip()
            return "" if name == "_global_" else name.replace("_group_", group.replace("/", "."))
    return "" if file.stem.startswith("config") else group.replace("/", ".")


def _loaded(path: Path) -> dict[str, Any]:
    loaded = OmegaConf.load(path)
    values = OmegaConf.to_container(loaded, resolve=False) if isinstance(loaded, DictConfig) else {}
    return {str(name): value for name, value in values.items()} if isinstance(values, dict) else {}


def _leaves(address: str, value: Any) -> Iterator[str]:
    """``address``, or where its value is a mapping the addresses of all that is in it."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(f"{address}.{name}", inner)
    else:
        yield address
