"""Shorthand for the tests of configuration."""

import pytest
from omegaconf import DictConfig

from splade.config import ConfigError, configure


def configured(*overrides: str, name: str | None = None, command: str = "all") -> DictConfig:
    """The config ``name`` (config_default where None) as ``command`` gets it with ``overrides``."""
    return configure(command, overrides, {"SPLADE_CONFIG_NAME": name} if name else {})


def refusal(*overrides: str, name: str | None = None, command: str = "all") -> str:
    """What is said when it is refused."""
    with pytest.raises(ConfigError) as caught:
        configured(*overrides, name=name, command=command)
    return str(caught.value)
