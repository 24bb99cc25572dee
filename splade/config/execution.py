"""One run of a command: its config chosen, composed, wired and checked, and its function called."""

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from splade.config.checking.blame import addresses, names_a_setting
from splade.config.checking.reads import Known
from splade.config.checking.toy_data import toy_by_default
from splade.config.checking.validate import require, wire
from splade.config.checking.wiring import NAMED
from splade.config.composing.choose import choose, conf_dir
from splade.config.composing.compose import compose, parse_overrides
from splade.config.composing.errors import ConfigError
from splade.config.composing.named import named
from splade.config.composing.owners import foreign
from splade.config.words import told_of
from splade.files import InputError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
EXPORTED = "export.json"  # in the folder of a model that was exported


@functools.lru_cache(maxsize=1)
def commands() -> dict[str, dict[str, Any]]:
    """The table ``conf/commands.yaml``: what each command does and needs."""
    table: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "commands.yaml"))
    return {str(name): row for name, row in table.items()}


def configure(name: str, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None) -> DictConfig:
    """The config that the command ``name`` would run with: chosen, composed, wired and checked."""
    return ready(name, choose(env or {}), overrides)


def run_one(function: Callable[[DictConfig], Result], choice: Any, overrides: Sequence[str]) -> Result:
    """Run the command ``function`` with the chosen config and ``overrides``, and return its result."""
    name = name_of(function)
    cfg = ready(name, choice, overrides)
    writes = commands().get(name, {}).get("writes", [])
    told = toy_by_default(cfg, choice, parse_overrides(overrides), needs_of(name, cfg), writes)
    if told and os.environ.get("RANK", "0") == "0":
        logger.warning("splade %s: %s", name, told)
    return _blaming(cfg, lambda cfg: _run_on_gpus(function, cfg) if "gpu" in needs_of(name, cfg) else function(cfg))


def _run_on_gpus(function: Callable[[DictConfig], Result], cfg: DictConfig) -> Result:
    """Check the GPUs and set them as the config says, then return the result of ``function``."""
    instantiate(cfg.gpu)
    return function(cfg)


def _blaming(cfg: DictConfig, function: Callable[[DictConfig], Result]) -> Result:
    """Return the result of ``function``; an error about a file says which setting named the file.

    A ValueError of a constructor that names a setting is about its value, and is told in words as well.
    """
    try:
        return function(cfg)
    except (InputError, OSError, InstantiationException) as error:
        told = told_of(error)
        named = addresses(told, cfg) if told else []
        if not named:
            raise
        raise InputError(f"{told} (named by {' and '.join(named)})") from error
    except ValueError as error:
        if not names_a_setting(str(error)):
            raise
        raise InputError(str(error)) from error


def ready(name: str, choice: Any, overrides: Sequence[str]) -> DictConfig:
    """The chosen config with ``overrides``, composed, wired and checked for the command ``name``; or ConfigError."""
    known = Known()
    values = compose(choice, overrides)
    cfg = wire(values, named(choice, overrides), known, lambda cfg: "gpu" in needs_of(name, cfg))
    if problems := list(foreign(name, overrides, commands())):
        raise ConfigError.all_of(problems)
    require(cfg, needs_of(name, cfg), known)
    return cfg


def needs_of(name: str, cfg: DictConfig) -> Sequence[str]:
    """The wired nodes that the command ``name`` reads of ``cfg``."""
    row = commands().get(name, {})
    instead = [nodes for condition, nodes in row.get("instead", {}).items() if _holds(condition, cfg)]
    needs: Sequence[str] = instead[0] if instead else row.get("needs", [])
    return [node for node in needs if node != "gpu"] if _is_exported(cfg) else needs


def _is_exported(cfg: DictConfig) -> bool:
    """True where ``config.checkpoint_dir`` is an exported model: no GPU is used, and torch is not loaded."""
    folder = OmegaConf.select(cfg, "config.checkpoint_dir", throw_on_missing=False)
    pretrained = OmegaConf.select(cfg, "config.pretrained_no_yamlconfig", throw_on_missing=False)
    return folder is not None and not pretrained and (Path(str(folder)) / EXPORTED).is_file()


def _holds(condition: str, cfg: DictConfig) -> bool:
    """True where each part of ``condition`` holds, parts being divided by commas.

    ``ADDRESS`` holds where a value is set there, ``ADDRESS=VALUE`` where it is that one, ``ADDRESS named`` where the
    user named it, ``ADDRESS not named`` where not.
    """
    return all(_holds_one(part.strip(), cfg) for part in condition.split(","))


def _holds_one(condition: str, cfg: DictConfig) -> bool:
    address, *words = condition.split(" ")
    if words:
        return (address in cfg[NAMED]) == (words == ["named"])
    address, _, expected = condition.partition("=")
    value = OmegaConf.select(cfg, address)
    return str(value) == expected if expected else bool(value)


def name_of(function: Callable[..., Any]) -> str:
    """``index`` for a function of ``splade.index``, run as a module or imported."""
    module = function.__module__
    if module == "__main__":
        spec = function.__globals__.get("__spec__")
        module = spec.name if spec is not None else module
    return module.removeprefix("splade.")
