"""Fixtures that several parts share."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import quick

ROOT = Path(__file__).parents[1]
FIRST = ("training", "commands", "docs", "hub", "models", "engines", "rerank")  # folders whose files take long
PATIENCE = 1000.0  # seconds that a test waits for another process: a safety net, no outcome depends on it

# Before transformers is imported: where a name is no folder, a test needs no hub to say so, nor its retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # a test that forks wants nothing of Milvus' client

quick.install()

# No test cuts the power: what is written need not reach the disk.
os.fsync = lambda fd: None

# A slow machine makes no test fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the server of forks that the workers of a run share."""
    from tests import forked

    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ[forked.SHARED] = forked.begin()


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all cases of a test that is ``thinned(n)``, but for the first and every n-th after it.

    Folders with long files come first, so that no worker ends with one while the other has nothing left.
    """
    items.sort(
        key=lambda item: next((n for n, name in enumerate(FIRST) if f"tests/{name}/" in item.nodeid), len(FIRST))
    )
    seen: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("thinned")
        if mark is not None:
            name = item.nodeid.partition("[")[0]
            if seen.get(name, 0) % mark.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[name] = seen.get(name, 0) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import all tests without the garbage collector, which would look at a million objects again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the garbage collector pass over what was imported, a million objects that stay, and look less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


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
