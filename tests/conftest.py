"""Fixtures that several parts share."""

import functools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import omegaconf._utils
import omegaconf.base
import omegaconf.grammar_parser
import pytest
from hypothesis import HealthCheck, settings
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
PATIENCE = 1000.0  # seconds that a test waits for another process: a safety net, no outcome depends on it

# Before transformers is imported: where a name is no folder, a test needs no hub to say so, nor its retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Hundreds of configs are composed of the same texts here: what OmegaConf's grammar reads in a text depends on it alone.
parse = functools.cache(omegaconf.grammar_parser.parse)
for reader in (omegaconf.base, omegaconf._utils):
    reader.parse = parse

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


OmegaConf.load = load  # type: ignore[method-assign]

# No test cuts the power: what is written need not reach the disk.
os.fsync = lambda fd: None

# A slow machine makes no test fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run one line of Python in a fresh interpreter and return what it prints."""

    def run(code: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
