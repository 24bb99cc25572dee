"""The values that each setting may hold: the table ``conf/settings.yaml``, and values read by it.

A kind is one or more alternatives joined by `` or ``: ``bool``, ``int``, ``float`` (with a bound or two:
``int >= 1``, ``float > 0 and < 1``), ``str``, ``path``, ``any``, ``list of KIND``, ``'a word'``, ``one of a, b``,
``one of catalog.loss`` and ``dotted path`` (``my_module.MyClass``). Null always means "not set". Text that spells a
number or a boolean where one is wanted is read as that, so that ``"false"`` is false.
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from splade.config.composing.choose import conf_dir
from splade.config.composing.errors import hint, nearest_address

BOUND = re.compile(r"(int|float)(?: (>=|>) (\S+))?(?: and (<=|<) (\S+))?$")
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+$")
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
WRONG = object()


class Setting(NamedTuple):
    """One address (``*`` for one name of the user's choice), the kind of its value, its meaning, and for readers more.

    ``unit`` is that of a number. ``default`` tells in words a default that the wiring leaves open or derives.
    """

    address: str
    kind: str
    about: str
    unit: str = ""
    default: str = ""

    def matches(self, address: str) -> bool:
        """True where this setting is the one at ``address``; ``*`` stands for any one name."""
        own, given = self.address.split("."), address.split(".")
        return len(own) == len(given) and all(name in ("*", other) for name, other in zip(own, given, strict=True))


class Settings:
    """The table of all settings, as the shipped ``settings.yaml`` has it."""

    def __init__(self, rows: Iterable[Setting]) -> None:
        self.rows = list(rows)
        self._plain = {row.address: row for row in self.rows}
        self._starred = sorted((row for row in self.rows if "*" in row.address), key=lambda row: row.address.count("*"))

    @classmethod
    def shipped(cls) -> "Settings":
        """The table of ``conf/settings.yaml``."""
        return _loaded(conf_dir() / "settings.yaml")

    def find(self, address: str) -> Setting | None:
        """The setting at ``address``; a plain one before one with ``*``."""
        return self._plain.get(address) or next((row for row in self._starred if row.matches(address)), None)

    def above(self, address: str) -> bool:
        """True where ``address`` is a group of settings."""
        depth = address.count(".") + 1
        return any(
            row.address.count(".") >= depth
            and Setting(".".join(row.address.split(".")[:depth]), "", "").matches(address)
            for row in self.rows
        )

    def nearest(self, address: str) -> str | None:
        """The valid address most like ``address``."""
        names = address.split(".")
        accepted = []
        for row in self.rows:
            own = row.address.split(".")
            if "*" not in own:
                accepted.append(row.address)
            elif len(own) == len(names):
                accepted.append(".".join(n if o == "*" else o for o, n in zip(own, names, strict=True)))
        return nearest_address(address, accepted)


@lru_cache(maxsize=2)
def _loaded(path: Path) -> Settings:
    table: Any = OmegaConf.to_container(OmegaConf.load(path))
    return Settings(_setting(str(address), *row) for address, row in table.items())


def _setting(address: str, kind: str, about: str, more: dict[str, str] | None = None) -> Setting:
    return Setting(address, str(kind), str(about), **(more or {}))


def read_value(kind: str, value: Any, cfg: DictConfig) -> Any:
    """``value`` as ``kind`` wants it (text turned into the number it spells), or WRONG."""
    if value is None:
        return None
    for alternative in kind.split(" or ") if not kind.startswith("list of (") else [kind]:
        found = _read(alternative.strip(), value, cfg)
        if found is not WRONG:
            return found
    return WRONG


def accepted_names(kind: str, cfg: DictConfig) -> Sequence[str]:
    """The words a ``one of`` kind accepts; empty for other kinds."""
    if not kind.startswith("one of "):
        return []
    names = kind.removeprefix("one of ")
    if names.startswith("catalog."):
        table = OmegaConf.select(cfg, names)
        return [str(name) for name in table] if table is not None else []
    return [name.strip() for name in names.split(",")]


def complaint(address: str, kind: str, value: Any, cfg: DictConfig) -> str:
    """The sentence about a wrong ``value``."""
    given = f"{value!r}" + (" (text)" if isinstance(value, str) and kind.startswith(("int", "float", "bool")) else "")
    for part in kind.split(" or "):
        names = accepted_names(part, cfg)
        if names:
            also = ", or a dotted path such as my_module.MyClass" if "dotted path" in kind.split(" or ") else ""
            return f"{address}={value}: accepted are {', '.join(names)}{also}{hint(str(value), names, cutoff=0.4)}"
    return f"{address} must be {_in_words(kind)}, got {given}"


def _read(kind: str, value: Any, cfg: DictConfig) -> Any:
    if kind == "any":
        return value
    if kind.startswith("list of "):
        return _read_list(kind.removeprefix("list of "), value, cfg)
    if kind.startswith("one of "):
        return str(value) if str(value) in accepted_names(kind, cfg) and not isinstance(value, bool) else WRONG
    if kind == "dotted path":
        return value if isinstance(value, str) and DOTTED.match(value) else WRONG
    if kind.startswith("'"):
        return value if value == kind.strip("'") else WRONG
    if kind == "path" and isinstance(value, str) and not value.strip():
        return WRONG
    if kind in ("str", "path"):
        return value if isinstance(value, str) else (str(value) if _is_number(value) else WRONG)
    if kind == "bool":
        spelt = TRUTH.get(value.strip().lower(), WRONG) if isinstance(value, str) else WRONG
        return value if isinstance(value, bool) else spelt
    return _read_number(kind, value)


def _read_list(kind: str, value: Any, cfg: DictConfig) -> Any:
    if not isinstance(value, list):
        return WRONG
    inner = kind[1:-1] if kind.startswith("(") else kind
    nullable = "null" in inner.split(" or ")
    found = [read_value(inner.replace(" or null", ""), item, cfg) for item in value]
    wrong = any(item is WRONG for item in found) or (None in value and not nullable)
    return WRONG if wrong else found


def _read_number(kind: str, value: Any) -> Any:
    match = BOUND.match(kind)
    if match is None:
        raise ValueError(f"settings.yaml: unknown kind {kind!r}")
    if isinstance(value, str):
        try:
            value = int(value) if match[1] == "int" and re.fullmatch(r"\s*[+-]?\d+\s*", value) else float(value)
        except ValueError:
            return WRONG
    if not _is_number(value) or not math.isfinite(value) or (match[1] == "int" and value % 1 != 0):
        return WRONG
    bound = float(match[3]) if match[3] else -math.inf
    if value < bound or (match[2] == ">" and value == bound):
        return WRONG
    limit = float(match[5]) if match[5] else math.inf
    if value > limit or (match[4] == "<" and value == limit):
        return WRONG
    return int(value) if match[1] == "int" else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_words(kind: str) -> str:
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "path": "a path"}
    text = kind.replace("list of", "a list of").replace("(", "").replace(")", "")
    return re.sub(r"\b(int|float|bool|str|path)\b", lambda match: words[match[1]], text)
