"""Readers of the user's catalog in the values that name data: ``NAME:PATH`` becomes ``my_module.reader:PATH``."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.checking.settings import Settings
from splade.config.checking.wiring import leaves, unresolved_values


def name_readers(cfg: DictConfig, settings: Settings) -> None:
    """Put the dotted path of a reader of ``catalog.reader`` in the place of its name, wherever a path is set."""
    readers = {str(name): str(path) for name, path in (cfg.catalog.get("reader") or {}).items()}
    for address, value in list(leaves(unresolved_values(cfg))) if readers else []:
        setting = settings.find(address)
        if setting is not None and "path" in setting.kind:
            found = _named(value, readers)
            if found != value:
                OmegaConf.update(cfg, address, found, merge=False)


def _named(value: Any, readers: dict[str, str]) -> Any:
    """``value``, or each of its items, with the name of a reader before its first colon replaced."""
    if isinstance(value, list):
        return [_named(each, readers) for each in value]
    name, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    return f"{readers[name]}:{rest}" if colon and name in readers else value
