import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import splade.kernels
from splade.indexing import InvertedIndex
from splade.kernels.compiled import inner_kernel, kernel, read_only
from splade.search import Searcher
from tests.kernels.cases import random_batch

ROOT = Path(__file__).parents[2]


def test_a_kernel_is_compiled_without_a_cache_where_none_can_be_written(monkeypatch):
    compile_any = numba.njit

    def refuse(*args, **options):
        if options.get("cache"):
            raise RuntimeError("no locator available")
        return compile_any(*args, **options)

    monkeypatch.setattr(numba, "njit", refuse)

    def twice(x):
        return 2 * x

    assert kernel(twice)(21) == 42


def test_a_kernel_for_other_kernels_is_refused_to_python_before_and_after_it_is_compiled():
    @inner_kernel
    def twice(x):
        return 2 * x

    @kernel
    def twice_and_one(x):
        return twice(x) + 1

    with pytest.raises(TypeError, match="twice can only be called by kernels"):
        twice(21)
    assert twice_and_one(21) == 43
    with pytest.raises(TypeError, match="twice can only be called by kernels"):
        twice(21)


def test_no_kernel_is_compiled_for_a_number_that_is_written_out():
    """A 0 to begin with is a type of its own to numba, which would compile what is given it once more."""
    list(Searcher(InvertedIndex.from_csr(random_batch(0, 200, 30))).search(random_batch(1, 3, 30), 5))
    kept = {name: _kept(dispatcher) for name, dispatcher in _all()}
    assert kept["block_max.search_all"]
    assert [name for name, types in kept.items() if "Literal" in str(types)] == []


def _all():
    for found in pkgutil.iter_modules(splade.kernels.__path__):
        module = importlib.import_module(f"splade.kernels.{found.name}")
        for name, each in vars(module).items():
            if hasattr(each, "overloads") and each.py_func.__module__ == module.__name__:
                yield f"{found.name}.{name}", each


def _kept(dispatcher):
    """The types of arguments that it was compiled for, now or before."""
    return [types for types, *_ in dispatcher._cache._cache_file._load_index()]


def test_read_only_views_share_memory_and_cannot_be_written():
    array = np.arange(3)
    view = read_only(array)
    assert np.shares_memory(view, array)
    assert not view.flags.writeable
    assert array.flags.writeable


def test_importing_the_search_engine_compiles_nothing():
    code = (
        "import splade.search, splade.kernels.block_max as e, splade.kernels.sparse as s;"
        "print(len(e.search_all.signatures), len(s.scatter.signatures))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["0", "0"]


@pytest.mark.slow
def test_a_change_in_any_file_of_kernels_makes_kept_code_stale(tmp_path):
    package = tmp_path / "splade"
    for name in ("kernels", "files"):
        shutil.copytree(ROOT / "splade" / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "records.py"):
        shutil.copy(ROOT / "splade" / name, package / name)
    (package / "__init__.py").write_text("")
    (package / "kernels" / "inner.py").write_text(INNER.format(1))
    (package / "kernels" / "outer.py").write_text(OUTER)

    def run():
        code = "from splade.kernels.outer import outer; print(outer(1), outer.stats.cache_hits)"
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=True)
        return done.stdout.split()

    assert run() == ["2", "Counter()"]
    assert run()[0] == "2"
    assert run()[1] != "Counter()"
    (package / "kernels" / "inner.py").write_text(INNER.format(10))
    assert run() == ["11", "Counter()"]


INNER = """
from splade.kernels.compiled import kernel

@kernel
def inner(x):
    return x + {}
"""
OUTER = """
from splade.kernels.compiled import kernel
from splade.kernels.inner import inner

@kernel
def outer(x):
    return inner(x)
"""
