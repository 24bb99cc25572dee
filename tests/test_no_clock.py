"""No test's outcome depends on the clock: what a test waits for is an event, so that it passes on a slow, busy machine.

A generous timeout as a safety net is welcome; what is refused here are the ways to let time decide.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
CLOCKS = {"time", "timeit", "sched"}
DECIDED_BY_TIME = {"sleep", "Timer", "alarm", "setitimer", "TimeoutExpired", "perf_counter", "monotonic"}
FILES = sorted(path for path in TESTS.rglob("*.py") if path != Path(__file__))


def programs(tree: ast.AST) -> Iterator[ast.AST]:
    """``tree``, and the programs for other processes that stand in it as strings."""
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\bimport\b", node.value):
            try:
                yield ast.parse(textwrap.dedent(node.value))
            except SyntaxError:
                continue  # prose


def clocks(source: str) -> list[str]:
    """The uses of clocks in a test's source, its programs for other processes included."""
    found: list[str] = []
    if not re.search("|".join(CLOCKS | DECIDED_BY_TIME), source):
        return found
    for node in (node for tree in programs(ast.parse(source)) for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in CLOCKS]
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if node.module in CLOCKS or alias.name in DECIDED_BY_TIME]
        elif isinstance(node, ast.Attribute) and node.attr in DECIDED_BY_TIME:
            found.append(node.attr)
    return found


def test_tests_wait_for_events_and_read_no_clock():
    found = {str(path.relative_to(TESTS)): clocks(path.read_text()) for path in FILES}
    assert {path: uses for path, uses in found.items() if uses} == {}, (
        "drive them by events (see tests/cutting.py, tests/encoding/conftest)"
    )


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from time import sleep as pause",
        'CHILD = """\nimport os, time\nos.fork()\n"""',
        "import threading\nthreading.Timer(1, print).start()",
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.1)",
        "import asyncio\nasync def f(): await asyncio.sleep(1)",
        "import subprocess\ntry:\n    pass\nexcept subprocess.TimeoutExpired:\n    pass",
    ],
)
def test_every_way_to_let_time_decide_is_found(source):
    assert clocks(source)


def test_a_safety_net_is_no_clock():
    assert clocks("import subprocess\nsubprocess.run(['true'], timeout=PATIENCE)\nthread.join(PATIENCE)") == []


def test_no_example_of_hypothesis_is_too_slow():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
