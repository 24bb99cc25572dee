"""The shipped wiring as one tree: ``conf/catalog.yaml`` and every file of ``conf/wiring/``."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.composing.errors import ConfigError


def wiring_files(directory: Path) -> list[Path]:
    """The files of the wiring in the folder of configs ``directory``, in the order in which they are merged."""
    return [directory / "catalog.yaml", *sorted((directory / "wiring").glob("*.yaml"))]


@lru_cache(maxsize=2)
def loaded(directory: Path) -> DictConfig:
    """The wiring of the folder of configs ``directory``; not to be changed."""
    return merged(wiring_files(directory))


def merged(files: Iterable[Path]) -> DictConfig:
    """One tree of all ``files``; ConfigError where two of them define one address."""
    tree: dict[str, Any] = {}
    owners: dict[str, Path] = {}
    for file in files:
        content = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        if not isinstance(content, dict):
            raise ConfigError(f"{file}: a file of the wiring is a mapping of names to nodes")
        _add(tree, content, "", file, owners)
    return OmegaConf.create(tree)


def _add(tree: dict[str, Any], content: Mapping[Any, Any], above: str, file: Path, owners: dict[str, Path]) -> None:
    """Put ``content`` below the address ``above``; ``owners`` tells which file each address came from."""
    for name, value in content.items():
        address = f"{above}.{name}" if above else str(name)
        if name not in tree:
            tree[name] = {} if isinstance(value, dict) and value else value
        elif not (isinstance(value, dict) and value and isinstance(tree[name], dict) and tree[name]):
            raise ConfigError(f"{address} is defined in {owners[address]} and in {file}: remove it from one of them")
        owners.setdefault(address, file)
        if isinstance(value, dict) and value:
            _add(tree[name], value, address, file, owners)
