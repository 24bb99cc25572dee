"""Checks of a config before anything is built: every mistake is named with its address.

In this order, each round complete before the next: unknown keys, wrong types and names, keys that
nothing reads, combinations that do not go together, and what the command at hand misses.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from splade.config.checking.conflicts import conflicts
from splade.config.checking.readers import name_readers
from splade.config.checking.reads import ABSENT, Known, Reads, evaluate, raw_at, reads
from splade.config.checking.settings import WRONG, Settings, complaint, read_value
from splade.config.checking.signatures import complaints
from splade.config.checking.traits import ask_the_loss, is_taken_by_own_penalty, kind_of, loss_table
from splade.config.checking.wiring import (
    NAMED,
    PATCHES,
    join,
    leaves,
    patch,
    unresolved_components,
    unresolved_values,
    wired_names,
)
from splade.config.composing.choose import conf_dir
from splade.config.composing.compose import Groups
from splade.config.composing.errors import ConfigError, hint, nearest

HF_TRAINING = "config.hf_training"
NOT_NODES = ("catalog", "kinds", PATCHES, NAMED)


def wire(
    values: DictConfig,
    named: Collection[str] = (),
    known: Known | None = None,
    runs_model: Callable[[DictConfig], bool] = lambda _: True,
) -> DictConfig:
    """``values`` joined with the wiring and checked, but for what single commands need.

    ``named`` are the addresses that the user named; commands find them in the node of this name.
    ``known`` is filled with what its texts refer to. For a command that runs no model, as ``runs_model``
    tells of the wired tree, the classes of loss, data and model are not asked for what they need: that loads torch.
    ConfigError names every key that is unknown, wrong, read by nothing or in conflict.
    """
    settings = Settings.shipped()
    cfg = join(values)
    cfg[NAMED] = sorted(named)
    _refuse(unknown_keys(cfg, settings))
    _refuse(wrong_values(cfg, settings))
    name_readers(cfg, settings)
    patch(cfg)
    import_parts = runs_model(cfg)
    ask_the_loss(cfg, import_parts)
    _refuse(unread_keys(cfg, known, import_parts))
    _refuse(unknown_arguments(cfg))
    _refuse(conflicts(cfg, import_parts))
    return cfg


def require(cfg: DictConfig, needs: Sequence[str], known: Known | None = None) -> None:
    """ConfigError unless all that the wired nodes ``needs`` read is there; ``known`` is as `wire` leaves it."""
    raw = OmegaConf.to_container(cfg, resolve=False)
    found = reads(cfg, needs, wired_names(), known)
    problems = [
        f"{address} is needed by {', '.join(sorted(readers))} and not set: give {address}=VALUE"
        for address, readers in sorted(found.missing.items())
    ]
    problems += [
        f"{address} is needed and not set: give +{address}=VALUE"
        for need in needs
        for address, value in leaves(raw_at(raw, need), need)
        if value == "???"
    ]
    _refuse(problems)
    for need in needs:
        try:
            node = OmegaConf.select(cfg, need)
            if OmegaConf.is_config(node):
                OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{need}: {str(error).splitlines()[0]}") from error


def unknown_keys(cfg: DictConfig, settings: Settings) -> Iterator[str]:
    """A sentence for every key that no setting and no wired node has."""
    for address, value in _values(cfg):
        if settings.find(address) is None:
            if is_taken_by_own_penalty(cfg, address):
                continue
            if settings.above(address) and value in (None, {}):
                continue
            if settings.above(address):
                yield f"{address} is a group of settings, got {value!r}"
                continue
            groups = [] if "." in address else Groups([conf_dir()]).names()
            near = nearest(address, groups) or settings.nearest(address)
            yield f"{address}: there is no such setting" + (f"; did you mean {near}?" if near else "")
    base = unresolved_components()
    for name, change in cfg[PATCHES].items():
        yield from _unknown_in_node(str(name), change, base[name])


def wrong_values(cfg: DictConfig, settings: Settings) -> Iterator[str]:
    """A sentence for every value of a wrong type; text that spells the right one is replaced by it in ``cfg``."""
    for address, _ in list(_values(cfg)):
        setting = settings.find(address)
        if setting is None:
            continue
        try:
            value = OmegaConf.select(cfg, address)
        except OmegaConfBaseException as error:
            yield f"{address}: {str(error).splitlines()[0]}"
            continue
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        found = read_value(setting.kind, value, cfg)
        if found is WRONG:
            yield complaint(address, setting.kind, value, cfg)
        elif found != value or type(found) is not type(value):
            OmegaConf.update(cfg, address, found, merge=False)


def unread_keys(cfg: DictConfig, known: Known | None = None, import_parts: bool = True) -> Iterator[str]:
    """A sentence for every value that is set and that no component of this config reads.

    A value that is the default of the components that would read it is let pass: it changes nothing. Those that are
    of the other trainer, by steps or with many negatives, are told in one sentence.
    """
    found = _all_reads(cfg, known)
    unread = dict(_unread(cfg, found))
    others = _read_by_the_other_trainer(cfg, list(unread), import_parts)
    if others:
        yield _told_of_trainers(cfg, others)
    yield from (sentence for address, sentence in unread.items() if address not in others)


def _all_reads(cfg: DictConfig, known: Known | None = None) -> Reads:
    """Find all that the wired nodes of ``cfg`` read."""
    nodes = [str(name) for name in cfg if name in wired_names() and name not in NOT_NODES]
    nodes += [f"kinds.{name}" for name in cfg.kinds if not str(name).endswith("_of")]  # of nodes that were patched, too
    return reads(cfg, nodes, wired_names(), known)


def _unread(cfg: DictConfig, found: Reads) -> Iterator[tuple[str, str]]:
    """Address and sentence of every value that is not among ``found``."""
    for address, value in _values(cfg):
        if value is None or value == {} or found.of(address):
            continue
        elsewhere = _catalog_readers(cfg, address)
        if any(default == value for default in elsewhere.values()):
            continue  # what happens anyway
        if "data.type" in found.missing and any("train" in name.split(".")[1] for name in elsewhere):
            continue  # which data are meant is not said yet; commands that need to know ask for it
        names = sorted(elsewhere)
        shown = names[:3] + [f"{len(names) - 3} more"] * (len(names) > 3)
        told = f"; it would be read with {', '.join(shown)}" if names else ""
        yield address, f"{address}={value}: nothing in this configuration reads it{told}. Remove it (~{address})"


def _read_by_the_other_trainer(cfg: DictConfig, unread: Sequence[str], import_parts: bool) -> list[str]:
    """Those of the addresses ``unread`` that would be read with the other value of ``config.hf_training``."""
    if not unread:
        return []
    other = deepcopy(cfg)
    many = OmegaConf.select(cfg, HF_TRAINING) is True
    OmegaConf.update(other, HF_TRAINING, not many, force_add=True)
    ask_the_loss(other, import_parts)
    found = _all_reads(other)
    return [address for address in unread if found.of(address)]


def _told_of_trainers(cfg: DictConfig, addresses: Sequence[str]) -> str:
    """A sentence about settings of the trainer that is not chosen, with what to do."""
    if OmegaConf.select(cfg, HF_TRAINING) is True:
        removed = " ".join(f"~{address}" for address in addresses)
        return (
            f"{', '.join(addresses)}: only the trainer by steps reads this (catalog.trainer.steps), and "
            f"{HF_TRAINING}=true chooses the one with many negatives, whose settings are hf.training.*. Remove it "
            f"({removed}), or set {HF_TRAINING}=false"
        )
    return (
        f"{', '.join(addresses)}: only the trainer with many negatives reads this (catalog.trainer.multi_negative), "
        f"and {HF_TRAINING} is not true. Start from a config of that trainer (SPLADE_CONFIG_NAME=config_hf_toy, or "
        "another config_hf_…), or remove it "
        f"({' '.join(dict.fromkeys(f'~{_top(address)}' for address in addresses))})"
    )


def _top(address: str) -> str:
    """``hf`` for all that is below it, an address elsewhere as it is."""
    return "hf" if address.startswith("hf.") else address


def unknown_arguments(cfg: DictConfig) -> Iterator[str]:
    """A sentence for every component of the user's that cannot be found or does not take what it is given."""
    for name, change in cfg[PATCHES].items():
        if name == "catalog":
            for address, entry in leaves(OmegaConf.to_container(change, resolve=False), "catalog"):
                kind, path = address.split(".")[1], str(entry)
                if isinstance(entry, str) and kind != "full_ranking" and address.count(".") == 2:
                    chosen = address == f"catalog.{loss_table(cfg)}.{kind_of(cfg, 'loss')}"
                    yield from complaints("loss" if chosen else address, path, {})
            continue
        node = OmegaConf.select(cfg, str(name))
        if isinstance(node, DictConfig) and node.get("_target_"):
            yield from complaints(str(name), str(node["_target_"]), node)


def _values(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    return leaves(unresolved_values(cfg))


def _unknown_in_node(name: str, change: Any, node: Any) -> Iterator[str]:
    """Keys of a patch that its node does not have; nodes with a ``_target_`` are left to its signature."""
    if name in ("kinds", PATCHES, NAMED):
        yield f"{name} is not for a config to change"
    elif name == "catalog" and isinstance(change, DictConfig):
        kinds = [str(kind) for kind in change if kind not in node]
        yield from (f"catalog.{kind}: there is no such table{hint(kind, node)}" for kind in kinds)
    elif isinstance(change, DictConfig) and isinstance(node, dict) and "_target_" not in node:
        for key in map(str, change):
            if key not in node:
                near = nearest(key, node, cutoff=0.5)
                yield f"{name}.{key}: there is no such setting" + (f"; did you mean {name}.{near}?" if near else "")


def _catalog_readers(cfg: DictConfig, address: str) -> dict[str, Any]:
    """Catalog entries whose text refers to ``address``, with the default they have for it (or ABSENT)."""
    raw = OmegaConf.to_container(cfg.catalog, resolve=False)
    assert isinstance(raw, dict)
    found: dict[str, Any] = {}
    for place, leaf in leaves(raw, "catalog"):
        if address in re.split(r"[,:${}]+", str(leaf)):
            default = re.fullmatch(rf"\$\{{opt:{re.escape(address)},([^${{}}]*)\}}", str(leaf))
            entry = ".".join(place.split(".")[:3])
            found[entry] = evaluate(f"${{opt:_,{default[1]}}}", cfg) if default else ABSENT
    return found


def _refuse(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise ConfigError.all_of(found)
