"""The functions that the wiring in ``conf/wiring/`` may call."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.composing.choose import toy_dir
from splade.config.composing.errors import ConfigError


def register() -> None:
    """Make ``${opt:…}``, ``${first:…}``, ``${when:…}`` and ``${toy:…}`` known to OmegaConf; again is harmless."""
    resolvers: dict[str, Callable[..., Any]] = {"opt": opt, "first": first, "when": when, "toy": toy}
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def opt(address: str, default: Any = None, *, _root_: DictConfig) -> Any:
    """``${opt:ADDRESS,DEFAULT}``: the value at ADDRESS; DEFAULT where it is absent, null or ``???``."""
    value = OmegaConf.select(_root_, str(address))
    return default if value is None else value


def first(*addresses: str, _root_: DictConfig) -> Any:
    """``${first:ADDRESS,ADDRESS}``: the value at the first address that has one; an error where none has."""
    for address in addresses:
        value = OmegaConf.select(_root_, str(address))
        if value is not None:
            return value
    raise ConfigError(f"none of {', '.join(map(str, addresses))} is set")


def when(address: str, value: Any, then: Any, otherwise: Any = None, *, _root_: DictConfig) -> Any:
    """``${when:ADDRESS,VALUE,THEN,ELSE}``: THEN where the value at ADDRESS is VALUE, else ELSE.

    An absent ADDRESS equals null.
    """
    found = OmegaConf.select(_root_, str(address))
    return then if found == value and type(found) is type(value) else otherwise


def toy(path: str = "") -> str:
    """``${toy:queries/dev}``: the absolute path of a piece of the toy data."""
    return str(toy_dir() / path)
