"""Checking the blocks of a page without running them: commands compose, and Python imports names that exist.

Composing takes a third of a second. Of commands that differ in values of settings alone one composes; the values of the
others are read as their settings want them.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from splade.config import ConfigError, commands, configure, save_config
from splade.config.checking.settings import WRONG, Settings, read_value
from splade.config.checking.wiring import components
from splade.config.command import _as_typed, _run
from splade.config.composing.compose import parse_overrides
from tests.docs.blocks import Block, Command, PageError, commands_of, documents_of


def checked(block: Block) -> bool:
    """True for a block of which the commands must compose: also one that only *needs* something, such as a GPU."""
    return block.reason is None or block.reason.removeprefix("it ").startswith("needs ")


def check_page(blocks: list[Block], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Check the blocks of a page in ``folder``; the number of commands that composed."""
    exported: dict[str, str] = {}
    number = 0
    for block in blocks:
        if not checked(block):
            continue
        if block.file is not None:
            (folder / block.file).write_text(block.text)
            monkeypatch.syspath_prepend(str(folder))
            monkeypatch.delitem(sys.modules, block.file.removesuffix(".py"), raising=False)
        if block.language == "python":
            check_imports(block)
        if block.language != "bash":
            continue
        for name, content in documents_of(block.text):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        for command in commands_of(block, exported):
            compose(command, block.place, folder, monkeypatch)
            number += 1
    return number


def compose(command: Command, place: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose the config of ``command`` in ``folder``; PageError where it is refused."""
    if command.name not in commands():
        raise PageError(f"{place}: there is no command splade.{command.name}")
    if commands()[command.name].get("plain"):
        return
    if (key := _likeness(command)) in _COMPOSED:
        for argument in _as_typed(command.name, list(filter(_sets_a_value, command.arguments))):
            _check_value(argument, place)
        return
    saved = command.environment.get("SPLADE_CONFIG_FULLPATH")
    if saved is not None and not (folder / saved).exists():
        _save_default(folder / saved)
    with monkeypatch.context() as context, redirect_stdout(StringIO()):
        context.chdir(folder)
        context.syspath_prepend(folder)
        try:
            # As the command line would, but for the module of the command, which the check does not need.
            _run(lambda _: None, command.name, [*command.arguments, "--cfg", "job"], command.environment)
        except (ConfigError, SystemExit) as error:
            raise PageError(f"{place}: splade.{command.name} {' '.join(command.arguments)}: {error}") from error
    _forget(folder)
    _COMPOSED.add(key)


_COMPOSED: set[tuple[object, ...]] = set()


def _likeness(command: Command) -> tuple[object, ...]:
    """A key that commands share which differ in values of settings alone, and in the number of their shard."""
    others = [each for each in command.arguments if not _sets_a_value(each) and not re.fullmatch(r"\d+/\d+", each)]
    chosen = command.environment.get("SPLADE_CONFIG_NAME"), "SPLADE_CONFIG_FULLPATH" in command.environment
    return command.name, *sorted(others), *chosen


def _sets_a_value(argument: str) -> bool:
    """True for ``key=value`` of a setting; groups, options and removals are none."""
    key, mark, _ = argument.lstrip("+").partition("=")
    return bool(mark) and Settings.shipped().find(key) is not None


def _check_value(argument: str, place: str) -> None:
    """PageError where a setting does not accept the value that ``argument`` gives it."""
    (override,) = parse_overrides([argument])
    setting = Settings.shipped().find(argument.lstrip("+").partition("=")[0])
    assert setting is not None
    value = override.value()
    referred = isinstance(value, str) and "${" in value
    if not referred and read_value(setting.kind, value, components()) is WRONG:
        raise PageError(f"{place}: {argument}: {setting.address} must be {setting.kind}")


def _forget(folder: Path) -> None:
    """Take modules that lie in ``folder`` out of those that are imported."""
    for name, module in list(sys.modules.items()):
        if (file := getattr(module, "__file__", None)) and Path(file).is_relative_to(folder):
            del sys.modules[name]


def check_imports(block: Block) -> None:
    """Check the syntax of a block of Python, and that the package has the names which it imports."""
    for module, name in imports_of(block.text):
        home: Any = importlib.import_module(module)
        if not hasattr(home, name):
            importlib.import_module(f"{module}.{name}")


def imports_of(text: str) -> Iterator[tuple[str, str]]:
    """Module and name of each ``from splade… import …`` of a text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "splade":
            for each in node.names:
                yield node.module, each.name


def _save_default(path: Path) -> None:
    """A saved config at ``path``, as a training with the default config leaves it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_config(configure("train", [f"config.checkpoint_dir={path.parent}"]), path)
