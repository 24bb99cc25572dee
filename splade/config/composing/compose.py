"""Values from a config file, its groups and the command line's overrides, by Hydra's compose API.

Nothing is written anywhere. On top of what Hydra does:

- a group may be overridden whether or not the config's defaults list names it, in a saved config too; the
  option replaces whatever an option of that group sets;
- ``key=value`` and ``+key=value`` both set a value that is there or is not: names are checked afterwards,
  all of them, by the table of settings;
- errors say which group, option or override is meant, and the nearest valid name.
"""

import re
import tempfile
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from splade.config.composing.choose import WIRING, Choice, conf_dir
from splade.config.composing.errors import ConfigError, hint
from splade.config.composing.resolvers import register

ALTERNATIVES = {"data.VECTORS_PATH": "data.COLLECTION_PATH", "data.Q_VECTORS_PATH": "data.Q_COLLECTION_PATH"}
"""Pairs of addresses of which one is read."""


def compose(choice: Choice, overrides: Sequence[str] = ()) -> DictConfig:
    """The values of the chosen config with ``overrides`` on top; references in them are not resolved."""
    register()
    parsed = parse_overrides(overrides)
    groups = Groups([choice.directory, conf_dir()])
    for override in parsed:
        groups.check(override)
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line} gives several values: add --multirun to run once for each, or write one list, "
                f"{override.key_or_group}=[…]"
            )
    saved = _saved_values(choice)
    with tempfile.TemporaryDirectory(prefix="splade-config-") as scratch:
        if saved is not None:
            _drop_what_groups_replace(saved, parsed, groups)
            _follow_moved_checkpoint(saved, choice)
            choice = Choice(Path(scratch), "saved")
            OmegaConf.save(saved, choice.path)
        return _drop_alternatives(_compose(choice, parsed, groups), parsed, groups)


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """The overrides, understood by Hydra's grammar; ConfigError with the text that is not."""
    parser = OverridesParser.create()
    found = []
    for text in overrides:
        try:
            override = parser.parse_override(text)
            if not override.key_or_group:
                raise HydraException("no key before the =")
            found.append(override)
        except HydraException as error:
            raise ConfigError(
                f"cannot read the override {text!r}: {_first_line(error)}; expected key=value, +key=value or ~key "
                "(quote what has spaces, commas or parentheses: 'key=\"a b\"')"
            ) from error
    return found


def quoted(override: str) -> str:
    """``key=value`` with the value in quotes, so that it is a text for Hydra; one that is in quotes stays."""
    key, equals, value = override.partition("=")
    if not equals or (len(value) > 1 and value[0] == value[-1] and value[0] in "'\""):
        return override
    value = re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", value)  # no reference
    value = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + "\\'" * bool(found[2]), value)
    return f"{key}='{value}'"


class Groups:
    """The config groups below some folders: a group is a folder, an option a YAML file in it."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self.directories = list(dict.fromkeys(directories))

    def is_group(self, override: Override) -> bool:
        """True where ``override`` chooses an option of a group, rather than setting a value."""
        name = override.key_or_group
        if "." in name or name.startswith("hydra") or name == WIRING:
            return name.startswith("hydra/")
        return "/" in name or any((directory / name).is_dir() and self.options(name) for directory in self.directories)

    def names(self) -> list[str]:
        """All groups, as ``train/data``."""
        found = set()
        for directory in self.directories:
            for file in directory.glob("*/**/*.yaml"):
                group = file.parent.relative_to(directory).as_posix()
                if not file.name.startswith("config_") and group != WIRING:
                    found.add(group)
        return sorted(found)

    def options(self, group: str) -> list[str]:
        """The options of ``group``."""
        files = (file for directory in self.directories for file in (directory / group).glob("*.yaml"))
        return sorted({file.stem for file in files})

    def check(self, override: Override) -> None:
        """ConfigError for an unknown group or option, with the nearest one."""
        group = override.key_or_group
        if not self.is_group(override) or group.startswith("hydra/"):
            return
        options = self.options(group)
        if not options:
            names = self.names()
            near = f"{hint(group, names)}\ngroups: {', '.join(names)}"
            raise ConfigError(f"{override.input_line}: there is no group {group}{near}")
        chosen = override.value() if not override.is_delete() and not override.is_sweep_override() else None
        for option in chosen if isinstance(chosen, list) else [chosen]:
            if option is not None and str(option).removesuffix(".yaml") not in options:
                near = hint(str(option), options, cutoff=0.4)
                raise ConfigError(
                    f"{override.input_line}: {group} has no option {option}{near}\n{group} can be {', '.join(options)}"
                )

    def addresses(self, group: str) -> set[str]:
        """Return the addresses that the options of ``group`` set, to a depth of two names (``config.loss``)."""
        found: set[str] = set()
        for option in self.options(group):
            for directory in self.directories:
                file = directory / group / f"{option}.yaml"
                if file.is_file():
                    found |= _set_by(file, file.stat().st_mtime_ns, group)
        return found


def _compose(choice: Choice, parsed: Sequence[Override], groups: Groups) -> DictConfig:
    """Hydra's composition with the overrides rewritten to its stricter rules."""
    elsewhere = [] if choice.directory == conf_dir() else [f"hydra.searchpath=['file://{conf_dir().as_posix()}']"]
    try:
        with hydra.initialize_config_dir(str(choice.directory), version_base="1.3"):
            chosen = any(groups.is_group(override) for override in parsed)
            listed: Collection[str] = ()
            if chosen:
                states = (_state(choice.directory), _state(conf_dir()))
                listed = _listed_groups(choice.name, tuple(elsewhere), states)
            texts = [_rewritten(override, groups, listed) for override in parsed]
            return hydra.compose(choice.name, overrides=[*elsewhere, *texts])
    except HydraException as error:
        raise ConfigError(f"{choice.path}: {_first_line(error)}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{choice.path}: {_first_line(error)}") from error


def _state(directory: Path) -> tuple[str, int, int]:
    """A folder of configs, how many files it has and when the last one was modified."""
    modified = [file.stat().st_mtime_ns for file in directory.rglob("*.yaml")]
    return str(directory), len(modified), max(modified, default=0)


@lru_cache(maxsize=64)
def _listed_groups(name: str, overrides: tuple[str, ...], _states: Any) -> frozenset[str]:
    """The groups that the config ``name`` chooses from, through other files too.

    Hydra reads all these files for it and once more to compose them: what is found is kept while ``_states``, those of
    the folders that the running Hydra searches, are the same.
    """
    loader = GlobalHydra.instance().config_loader()
    defaults = loader.compute_defaults_list(name, list(overrides), RunMode.RUN).defaults
    return frozenset(str(entry.config_path).rpartition("/")[0] for entry in defaults if "/" in str(entry.config_path))


def _rewritten(override: Override, groups: Groups, listed: Collection[str]) -> str:
    text = str(override.input_line).lstrip()
    if override.is_delete() or override.key_or_group.startswith("hydra"):
        return text
    bare = text.lstrip("+")
    if groups.is_group(override):
        return bare if override.key_or_group in listed else f"+{bare}"
    return f"++{bare}"


def _saved_values(choice: Choice) -> DictConfig | None:
    """The values of a config without a defaults list; None for one that has it, which Hydra must read."""
    try:
        loaded = OmegaConf.load(choice.path)
    except Exception as error:
        raise ConfigError(f"{choice.path}: not a YAML file that can be read: {_in_one_line(error)}") from error
    if not isinstance(loaded, DictConfig) or not loaded:
        raise ConfigError(f"{choice.path}: a config is a mapping of settings; this one holds none")
    if "defaults" in loaded:
        return None
    loaded.pop("hydra", None)
    return loaded


def _drop_what_groups_replace(saved: DictConfig, parsed: Sequence[Override], groups: Groups) -> None:
    for override in parsed:
        if groups.is_group(override) and not override.is_delete():
            for address in groups.addresses(override.key_or_group):
                parent, _, name = address.rpartition(".")
                holder = OmegaConf.select(saved, parent) if parent else saved
                if isinstance(holder, DictConfig):
                    holder.pop(name, None)


def given_by(overrides: Sequence[Override], groups: Groups) -> set[str]:
    """The addresses that overrides set, by an option of a group too; null sets nothing."""
    given: set[str] = set()
    for override in overrides:
        if not override.is_delete() and override.value() is not None:
            name = override.key_or_group
            given |= groups.addresses(name) if groups.is_group(override) else {name}
    return given


def _drop_alternatives(cfg: DictConfig, parsed: Sequence[Override], groups: Groups) -> DictConfig:
    """``cfg`` without what an override stands in the place of: its own default, not another override."""
    given = given_by(parsed, groups)
    for pair in ALTERNATIVES.items():
        for chosen, other in (pair, pair[::-1]):
            if chosen in given and other not in given and OmegaConf.select(cfg, other) is not None:
                OmegaConf.update(cfg, other, None, merge=False)
    return cfg


def _follow_moved_checkpoint(saved: DictConfig, choice: Choice) -> None:
    """A checkpoint folder that was moved is used where its config.yaml now lies."""
    said = OmegaConf.select(saved, "config.checkpoint_dir")
    if said is not None and not Path(str(said)).is_dir() and (choice.directory / "model").is_dir():
        OmegaConf.update(saved, "config.checkpoint_dir", str(choice.directory))


@lru_cache(maxsize=1024)
def _set_by(file: Path, _modified: int, group: str) -> frozenset[str]:
    """The addresses that an option file sets, below the package that its first lines name.

    Every option of a group is read whenever one is chosen, so what a file says is kept until it is modified.
    """
    package = group.replace("/", ".")
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package "):
            package = line.removeprefix("# @package ").strip().replace("_global_", "")
    values: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    prefix = package.split(".") if package else []
    found = set()
    for name, value in values.items():
        if name != "defaults":
            inner = list(value) if isinstance(value, dict) and not prefix else [None]
            for child in inner:
                found.add(".".join([*prefix, str(name), *([str(child)] if child is not None else [])][:2]))
    return frozenset(found)


def _first_line(error: BaseException) -> str:
    """Hydra's reason in one line, without its own advice on how to call it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
