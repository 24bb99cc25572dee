"""Configuration: choose a config, compose its values, join the wiring, check, hand a tree to a command.

The only package that knows Hydra. Commands see a tree whose wired nodes (``cfg.model``, ``cfg.trainer``, …)
hold every value under the name of the argument it becomes; see ``conf/wiring/``.
"""

from splade.config.checking.saved import save_config
from splade.config.checking.validate import require, wire
from splade.config.command import command
from splade.config.composing.choose import Choice, choose, conf_dir, config_names, expected_dir, toy_dir
from splade.config.composing.compose import compose
from splade.config.composing.errors import ConfigError
from splade.config.execution import commands, configure
from splade.config.words import in_words

__all__ = [
    "Choice",
    "ConfigError",
    "choose",
    "command",
    "commands",
    "compose",
    "conf_dir",
    "config_names",
    "configure",
    "expected_dir",
    "in_words",
    "require",
    "save_config",
    "toy_dir",
    "wire",
]
