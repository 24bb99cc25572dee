import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np

from splade.kernels.compiled import kernel, read_only

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
