"""What depends on its input alone is worked out once in a process: hundreds of tests compose configs of the same files.

Imported before anything composes. What comes out is the same (``test_quick.py``).
"""

import functools
import os
import pickle
import re
from pathlib import Path
from typing import Any

import hydra
import omegaconf._utils
import omegaconf.base
import omegaconf.grammar_parser
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

# What OmegaConf's grammar reads in a text depends on the text alone.
parse = functools.cache(omegaconf.grammar_parser.parse)

# So does what YAML reads, which takes it fifty times as long as unpickling the outcome.
_load, _outcomes = OmegaConf.load, dict[str, bytes]()


def load(file: Any) -> Any:
    """`OmegaConf.load`, which reads a text once in a process."""
    if isinstance(file, str | Path):
        if not Path(file).is_file():
            return _load(file)
        with Path(file).open(encoding="utf-8") as stream:
            return load(stream)
    text = file.read()
    if text not in _outcomes:
        file.seek(0)
        _outcomes[text] = pickle.dumps(_load(file), pickle.HIGHEST_PROTOCOL)
    return pickle.loads(_outcomes[text])


# A config without the values set on the command line depends on its files and on the groups that are chosen.
_compose, _composed = hydra.compose, dict[Any, bytes]()


def compose(name: str, overrides: list[str]) -> DictConfig:
    """`hydra.compose`, which merges the same files once in a process and then sets values (``++key=value``)."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    if any(override.is_delete() for override in parsed):
        return _compose(name, overrides=overrides)
    values = [override for override in parsed if override.is_force_add()]
    others = [str(override.input_line) for override in parsed if not override.is_force_add()]
    sources = (source.path for source in GlobalHydra.instance().config_loader().get_sources())
    searched = re.findall(r"file://([^'\"\]]+)", " ".join(others))
    key = (name, *others, *(_state(folder) for folder in dict.fromkeys((*sources, *searched))))
    if key not in _composed:
        _composed[key] = pickle.dumps(_compose(name, overrides=others), pickle.HIGHEST_PROTOCOL)
    cfg: DictConfig = pickle.loads(_composed[key])
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    return cfg


def _state(folder: str) -> Any:
    """A folder and its files' sizes and times of change; of a place that is no folder its name."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            about = Path(place, name).stat()
            found.append((place, name, about.st_mtime_ns, about.st_size))
    return folder, tuple(sorted(found))


def install() -> None:
    """Put these in the places of those they stand for."""
    for reader in (omegaconf.base, omegaconf._utils):
        reader.parse = parse  # type: ignore[attr-defined]
    OmegaConf.load = load  # type: ignore[method-assign]
    hydra.compose = compose
