"""What is compiled ahead of the tests is what pytest and Python would write themselves."""

import json
import os
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import PYC_TAIL, _read_pyc, get_cache_dir

from tests.conftest import PATIENCE, ROOT
from tests.kernels import warm

COMPILED = """
import json, sys
from numba.core import event
told = []
class Listener(event.Listener):
    def on_start(self, event): told.append([event.data["dispatcher"].py_func.__qualname__, str(event.data["args"])])
    def on_end(self, event): pass
event.register("numba:compile", Listener())
from tests.kernels import warm
warm.warm(int(sys.argv[1]))
print(json.dumps(told))
"""
"""Prints name and types of all that a share compiles."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A package and tests of a few files, all of them in place of ours."""
    for name, text in {
        "splade/one.py": "ONE = 1\n",
        "tests/__init__.py": "",
        "tests/conftest.py": "TWO = 2\n",
        "tests/test_sum.py": "def test_sum():\n    assert 1 + 1 == 3\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(warm, "ROOT", tmp_path)
    return sorted(tmp_path.rglob("*.py"))


def kept(file: Path) -> Path:
    of_tests = file.name.startswith(("test_", "conftest"))
    return get_cache_dir(file) / (file.stem + PYC_TAIL) if of_tests else Path(cache_from_source(str(file)))


def test_all_shares_together_write_the_form_of_each_file_and_no_share_that_of_another(files):
    for share in range(warm.SHARES):
        warm.compile_files(share)
        assert [kept(file).is_file() for file in files[share :: warm.SHARES]] == [True] * 2
        assert sum(kept(file).is_file() for file in files) == 2 * (share + 1)


def test_a_failed_assertion_of_a_kept_form_tells_its_values(files, monkeypatch):
    (file,) = (file for file in files if file.name == "test_sum.py")
    warm.rewrite(file)
    scope: dict = {}
    exec(_read_pyc(file, kept(file)), scope)
    with pytest.raises(AssertionError, match=r"assert \(1 \+ 1\) == 3"):
        scope["test_sum"]()


def test_a_form_that_is_not_of_its_file_is_written_anew(files):
    (file,) = (file for file in files if file.name == "test_sum.py")
    warm.rewrite(file)
    file.write_text("def test_sum():\n    assert 1 + 1 == 2\n")
    assert _read_pyc(file, kept(file)) is None
    warm.rewrite(file)
    assert _read_pyc(file, kept(file)) is not None


@pytest.mark.slow
def test_no_share_compiles_the_searches_of_another(tmp_path):
    """Both make indexes, and share the kernels that do; those that search are of one form of weights each."""
    told = []
    for share in range(warm.SHARES):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / str(share))}
        command = [sys.executable, "-c", COMPILED, str(share)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        told.append({tuple(each) for each in json.loads(done.stdout.splitlines()[-1])})
    first, second = told
    assert {name for name, _ in first & second} & {"search_all", "search_one", "visit", "score_parts"} == set()
    assert {"search_all", "search_one"} <= {name for name, _ in first - second} & {name for name, _ in second - first}
