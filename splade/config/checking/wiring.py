"""Values joined with the wiring: one tree in which every component's arguments can be looked up."""

import logging
import pickle
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.checking.reads import ABSENT, evaluate, interpolations, raw_at
from splade.config.checking.signatures import fitting
from splade.config.checking.wiring_files import loaded
from splade.config.composing.choose import conf_dir
from splade.config.composing.resolvers import register

logger = logging.getLogger(__name__)

PATCHES = "patches"
NAMED = "named"
SPELT = {"export.target": "config.export", "export.check": "config.export_check"}
"""Other addresses of values, within a wired node, whose arguments they are none of."""


def components() -> DictConfig:
    """Catalog and wiring as shipped in ``conf/catalog.yaml`` and ``conf/wiring/``, to be changed at will."""
    register()
    copy = pickle.loads(_copied(conf_dir()))
    assert isinstance(copy, DictConfig)
    return copy


@lru_cache(maxsize=1)
def unresolved_components() -> Mapping[str, Any]:
    """Return the content of `components` with its interpolations as they are written; not to be changed."""
    return MappingProxyType(_raw(loaded(conf_dir())))


def join(values: DictConfig) -> DictConfig:
    """The wiring with ``values`` beside it and the user's catalog entries in it.

    What the user changed of wired nodes waits under ``patches`` for ``patch``; no component has been
    looked up yet.
    """
    cfg, own = components(), _respelt(_raw(values))
    if own.pop("traits", None):
        logger.warning("traits: no longer read; a class says itself what it needs, as docs/extending.md tells")
    patches = {name: own.pop(name) for name in list(own) if name in cfg and name != PATCHES}
    cfg.merge_with(own)
    if isinstance(patches.get("catalog"), Mapping):
        cfg.catalog = OmegaConf.merge(cfg.catalog, OmegaConf.create(_entries(patches["catalog"])))
    cfg[PATCHES] = patches
    return cfg


def patch(cfg: DictConfig) -> DictConfig:
    """``cfg`` with the user's changes to wired nodes made, and struct mode on.

    A node that is a choice from the catalog is first replaced by what is chosen, so that a change of one
    argument leaves the others as they are. With a new ``_target_`` go the arguments that it does not take.
    """
    for name, change in _raw(cfg[PATCHES]).items():
        if name == "catalog":
            continue
        node = _expanded(cfg, name)
        if isinstance(node, dict) and isinstance(change, Mapping):
            node = fitting(node, str(change["_target_"])) if "_target_" in change else node
            change = OmegaConf.merge(OmegaConf.create(node), OmegaConf.create(dict(change)))
        cfg[name] = change
    OmegaConf.set_struct(cfg, True)
    return cfg


def values_of(cfg: DictConfig) -> dict[str, Any]:
    """The values alone, unresolved, with the user's changes to wired nodes: what composes to ``cfg`` again."""
    return unresolved_values(cfg) | _raw(cfg[PATCHES])


def unresolved_values(cfg: DictConfig) -> dict[str, Any]:
    """The values alone as they are written: what stands at the top of a config and is not of the wiring."""
    found = {}
    for name in cfg:
        if name not in wired_names():
            node: Any = cfg._get_node(name)
            raw = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node._value()
            found[str(name)] = raw
    return found


def leaves(value: Any, address: str = "") -> Iterator[tuple[str, Any]]:
    """Address and value of everything below ``value`` that is not a mapping with something in it."""
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from leaves(child, f"{address}.{name}" if address else str(name))
    else:
        yield address, value


def wired_names() -> Collection[str]:
    """The top-level names of the wiring; everything else at the top of a config is a value."""
    return _names(conf_dir())


@lru_cache(maxsize=2)
def _copied(directory: Path) -> bytes:
    """The wiring, to be copied from: unpickling one takes an eighth of the time of `copy.deepcopy`."""
    return pickle.dumps(loaded(directory), pickle.HIGHEST_PROTOCOL)


@lru_cache(maxsize=2)
def _names(directory: Path) -> frozenset[str]:
    return frozenset(str(name) for name in loaded(directory))


def _respelt(own: dict[str, Any]) -> dict[str, Any]:
    """``own`` with the values of `SPELT` at the addresses that they stand for; these win over what is there."""
    for address, stands_for in SPELT.items():
        name, _, key = address.partition(".")
        if isinstance(own.get(name), dict) and key in own[name]:
            value = own[name].pop(key)
            home, _, leaf = stands_for.partition(".")
            own[home] = {**(own.get(home) or {}), leaf: value}
            if not own[name]:
                del own[name]
    return own


def _entries(own: Mapping[str, Any]) -> dict[str, Any]:
    """The user's catalog entries; a dotted path is wired as the first entry of its table."""
    raw, found = unresolved_components()["catalog"], {}
    for kind, entries in own.items():
        template = next(iter(raw.get(kind, {}).values()), None)
        found[kind] = entries
        if isinstance(template, dict) and isinstance(entries, Mapping):
            found[kind] = {
                name: fitting(template, entry) if isinstance(entry, str) else entry for name, entry in entries.items()
            }
    return found


def _expanded(cfg: DictConfig, name: str) -> Any:
    """The unresolved node ``name``, with a choice from the catalog followed to what is chosen."""
    raw = _raw(cfg)
    node = raw[name]
    while isinstance(node, str) and len(interpolations(node)) == 1:
        followed = raw_at(raw, str(evaluate(interpolations(node)[0], cfg)))
        if followed is ABSENT:
            break
        node = followed
    return node


def _raw(cfg: DictConfig) -> dict[str, Any]:
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    return {str(name): value for name, value in raw.items()}
