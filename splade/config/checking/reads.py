"""Find the values that the wiring reads, by following its interpolations.

A value that no selected component reads is a mistake; so is a component whose value is missing. Both
are found here without building anything: the text of the wiring is walked, catalog choices included.
"""

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from omegaconf import AnyNode, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

RESOLVER = re.compile(r"\s*([A-Za-z_][\w.]*)\s*:(.*)", re.DOTALL)
ABSENT = object()


class Reference(NamedTuple):
    """One address that a text refers to; ``optional`` where it has a default."""

    address: str
    optional: bool


class Known:
    """The unresolved values of one config, and what its texts refer to, by address: shared by all checks of it."""

    def __init__(self) -> None:
        self.raw: Any = None
        self.references: dict[str, list[Reference] | str] = {}

    def raw_of(self, cfg: DictConfig) -> Any:
        """The unresolved values of ``cfg``, converted once."""
        if self.raw is None:
            self.raw = OmegaConf.to_container(cfg, resolve=False)
        return self.raw


class Reads(NamedTuple):
    """The addresses that a set of wired nodes reads, with their readers, and those that they need and do not find."""

    readers: dict[str, set[str]]
    missing: dict[str, set[str]]

    def of(self, address: str) -> set[str]:
        """Who reads ``address``, something above it, or something below it."""
        found: set[str] = set()
        for read, readers in self.readers.items():
            if read == address or address.startswith(f"{read}.") or read.startswith(f"{address}."):
                found |= readers
        return found


def reads(cfg: DictConfig, nodes: Iterable[str], wired: Collection[str], known: Known | None = None) -> Reads:
    """All that ``nodes`` read, directly or through other interpolations.

    ``wired`` are the top-level names of the wiring: only what stands elsewhere is a value, and a value
    that is needed must not be null. ``known`` is filled; it holds for as long as ``cfg`` stays as it is.
    """
    known = Known() if known is None else known
    walk = _Walk(cfg, known.raw_of(cfg), wired, known, Reads({}, {}))
    for node in nodes:
        walk.follow(node, node, set())
    return walk.result


def references(text: str, cfg: DictConfig, home: str = "") -> Iterator[Reference]:
    """The addresses that the interpolations of ``text`` refer to, standing at the address ``home``."""
    for expression in interpolations(text):
        call = RESOLVER.match(expression)
        if call:
            yield from _of_call(call[1], arguments(call[2]), cfg, home)
        else:
            yield from references(expression, cfg, home)
            yield Reference(_absolute(str(evaluate(expression, cfg)), home), optional=False)


@functools.lru_cache(maxsize=4096)  # the texts are those of the wiring, for the most part
def interpolations(text: str) -> tuple[str, ...]:
    """The insides of the outermost ``${…}`` of ``text``."""
    found, start, position = [], 0, 0
    depth = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text.startswith("${", position):
            depth += 1
            start = position + 2 if depth == 1 else start
            position += 1
        elif text[position] == "}" and depth:
            depth -= 1
            if depth == 0:
                found.append(text[start:position])
        position += 1
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def arguments(text: str) -> tuple[str, ...]:
    """The arguments of a resolver, split at its own commas."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "{[(":
            depth += 1
        elif letter in "}])":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += letter
    return tuple(part.strip() for part in parts)


def evaluate(text: str, cfg: DictConfig) -> Any:
    """The value of ``text`` with its interpolations resolved from the root ``cfg``."""
    if "${" not in text:
        return text
    node = AnyNode(value=text, parent=cfg)._dereference_node()
    return node if OmegaConf.is_config(node) or node is None else node._value()


def raw_at(raw: Any, address: str) -> Any:
    """The unresolved value at ``address``, or ABSENT."""
    for name in address.replace("[", ".").replace("]", "").split("."):
        if isinstance(raw, dict) and name in raw:
            raw = raw[name]
        elif isinstance(raw, list) and name.isdigit() and int(name) < len(raw):
            raw = raw[int(name)]
        else:
            return ABSENT
    return raw


class _Walk(NamedTuple):
    """The state of one walk from node to node."""

    cfg: DictConfig
    raw: Any
    wired: Collection[str]
    known: Known
    result: Reads

    def follow(self, address: str, reader: str, seen: set[str]) -> None:
        """Record what the value at ``address`` refers to, and what those values refer to in turn."""
        if address in seen:
            return
        seen.add(address)
        for place, text in _texts(raw_at(self.raw, address), address):
            found = self._references(place, text)
            if isinstance(found, str):
                self.result.missing.setdefault(found, set()).add(reader)
                continue
            for reference in found:
                self.result.readers.setdefault(reference.address, set()).add(reader)
                if not reference.optional and self._lacks(reference.address):
                    self.result.missing.setdefault(reference.address, set()).add(reader)
                self.follow(reference.address, reader, seen)

    def _references(self, place: str, text: str) -> list[Reference] | str:
        """Return the references in the text at ``place``, or the address that cannot be resolved."""
        found = self.known.references
        if place not in found:
            try:
                found[place] = list(references(text, self.cfg, place))
            except OmegaConfBaseException as error:
                found[place] = _unresolved(error)
        return found[place]

    def _lacks(self, address: str) -> bool:
        value = raw_at(self.raw, address)
        return value is ABSENT or (value in (None, "???") and address.split(".")[0] not in self.wired)


def _of_call(name: str, given: Sequence[str], cfg: DictConfig, home: str) -> Iterator[Reference]:
    """References of a resolver's arguments; ``when`` reads only the branch it takes."""
    if name == "when" and len(given) >= 3:
        yield from references(given[0], cfg, home)
        yield Reference(str(evaluate(given[0], cfg)), optional=True)
        chosen = evaluate(f"${{when:{given[0]},{given[1]},0,1}}", cfg)
        yield from references(given[2 + chosen] if 2 + chosen < len(given) else "", cfg, home)
        return
    if name == "opt":
        yield Reference(str(evaluate(given[0], cfg)), optional=True)
    if name == "first":
        found = any(OmegaConf.select(cfg, address) is not None for address in given)
        yield from (Reference(address, found or address != given[-1]) for address in given)
    for part in given:
        yield from references(part, cfg, home)


def _texts(value: Any, address: str) -> Iterator[tuple[str, str]]:
    """Every text with an interpolation in ``value``, with its address."""
    if isinstance(value, str) and "${" in value:
        yield address, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _texts(child, f"{address}.{name}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _texts(child, f"{address}.{number}")


def _absolute(address: str, home: str) -> str:
    """``.name`` and ``..name`` seen from ``home``; others as they are."""
    up = len(address) - len(address.lstrip("."))
    if not up:
        return address
    return ".".join([*home.split(".")[:-up], address[up:]])


def _unresolved(error: OmegaConfBaseException) -> str:
    """The address inside an interpolation error's message."""
    quoted = re.search(r"[Ii]nterpolation (?:key )?'?\$?\{?([^'}\s]+)", str(error))
    return quoted[1] if quoted else (error.full_key or str(error).split("\n")[0])
