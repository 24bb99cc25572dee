"""Running commands in this process, as the console script would."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from splade.cli import main
from tests.commands import world


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with tiny models under published names and data in the published layout."""
    return world.build(tmp_path_factory.mktemp("workplace"))


@pytest.fixture
def splade(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``splade(command, *arguments, cwd=…, **environment)`` runs one command; it must not fail."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for name in ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH"):
        monkeypatch.delenv(name, raising=False)

    def run(command: str, *arguments: str, cwd: Path, **environment: str) -> None:
        with monkeypatch.context() as context:
            context.chdir(cwd)
            context.setattr(sys, "argv", ["splade"])
            for name, value in environment.items():
                context.setenv(name, value)
            with warnings.catch_warnings():
                # runpy says so of a module that an earlier command imported; harmless for commands
                warnings.filterwarnings("ignore", message=".*found in sys.modules.*", category=RuntimeWarning)
                try:
                    main([command, *arguments])
                except SystemExit as done:
                    if done.code:
                        raise

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
