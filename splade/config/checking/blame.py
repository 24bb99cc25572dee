"""The settings that an error is about: those that it names, and those that named its file or folder."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from splade.config.checking.reads import evaluate
from splade.config.checking.settings import Settings
from splade.config.checking.wiring import values_of


def addresses(message: str, cfg: DictConfig) -> list[str]:
    """The addresses of the paths that ``message`` begins with, or begins inside of; the longest path counts.

    None where the message has an address of its own.
    """
    settings = Settings.shipped()
    found: dict[str, list[str]] = {}
    for address, value in resolved_texts(values_of(cfg), cfg):
        setting = settings.find(address)
        if setting is not None and "path" in setting.kind and _begins(message, value):
            found.setdefault(value, []).append(address)
    best = found[max(found, key=len)] if found else []
    return [] if any(address in message for address in best) else list(dict.fromkeys(best))


def names_a_setting(message: str) -> bool:
    """True where ``message`` holds the address of a setting or a group, as an error about a config's value does."""
    settings = Settings.shipped()
    addresses = re.findall(r"[A-Za-z_]+(?:\.\w+)+", message)
    return any(settings.find(address) or settings.above(address) for address in addresses)


def _begins(message: str, value: str) -> bool:
    """True where ``message`` begins with the path ``value``, as given or made absolute, or with a path below it."""
    if not value.strip("./ "):
        return False
    places = (value, str(Path(value).absolute()))
    return any(message.startswith((f"{place}:", f"{place}/", f"{place} ")) for place in places)


def resolved_texts(value: Any, cfg: DictConfig, address: str = "") -> Iterator[tuple[str, str]]:
    """Address and resolved text of every text; those in a list have the list's address."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from resolved_texts(inner, cfg, f"{address}.{name}" if address else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from resolved_texts(inner, cfg, address)
    elif isinstance(value, str):
        try:
            found = evaluate(value, cfg)
        except OmegaConfBaseException:  # it refers to what is not there, and nothing read it
            return
        if isinstance(found, str):
            yield address, found
