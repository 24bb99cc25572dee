"""The machine code of hot loops: what is said to work on many numbers at a time does."""

import platform
import re

import numba
import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.kernels.block_max import new_scratch
from splade.kernels.blocks import Blocks
from splade.kernels.bounds import add_rows, count_between, find_peaks
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.gather import gather
from splade.kernels.stream import score_range
from splade.kernels.topk import count_reaching, keep_largest
from splade.kernels.visit import narrow
from tests.kernels.cases import random_batch

pytestmark = [
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86-64 instructions"),
    pytest.mark.skipif(not hasattr(add_rows, "inspect_asm"), reason="compilation is switched off"),
]
EVERYTHING = read_only(np.empty(0, np.uint8))


@pytest.fixture(scope="module")
def blocks() -> Blocks:
    return InvertedIndex.from_csr(random_batch(0, 500, 20)).blocks


@pytest.fixture(scope="module")
def rows():
    return read_only_rows(random_batch(1, 2, 20, prefix="q").rows)


def code(function, *arguments):
    """Instructions for arguments of these types; compiled anew, since code from the cache cannot be read."""
    compiled = numba.njit(nogil=True)(function.py_func)
    compiled(*arguments)
    text = "\n".join(compiled.inspect_asm().values())
    return text[: text.index(".Lfunc_end0")]  # the kernel itself; what follows wraps it for Python


def assert_packed(text, *patterns):
    for pattern in patterns:
        assert re.search(rf"^\s+v?{pattern}\s", text, re.MULTILINE), f"no {pattern} in the machine code"


def test_bounds_are_summed_many_blocks_at_a_time(blocks):
    values = np.ones(1, np.float32)
    text = code(add_rows, blocks.head, np.zeros(0, np.int64), values, 0, np.zeros(64, np.float32))
    assert_packed(text, r"pmovzxb[dw]|punpcklbw", "cvtdq2ps", "mulps", "addps")


def test_peaks_and_counts_of_bounds_are_found_many_at_a_time():
    bounds, peaks = np.zeros(128, np.uint32), np.zeros(2, np.uint32)
    assert_packed(code(find_peaks, bounds, peaks), "pmaxud")
    assert_packed(code(count_between, bounds, peaks, np.uint32(1), np.uint64(5)), r"pcmp\w*d|pmaxud|pminud")


def test_scores_are_compared_with_the_bar_many_at_a_time(blocks):
    bits, pool = np.zeros(256, np.uint32), np.zeros(32, np.uint64)
    text = code(gather, bits, 0, 256, 0, blocks.order, EVERYTHING, pool, 0, 10, np.uint64(1 << 33))
    assert_packed(text, r"pcmp\w*d|pmaxud|pminud")


def test_positions_are_compared_32_at_a_time(blocks):
    text = code(narrow, blocks, np.uint64(0), np.uint64(40), 1)
    assert_packed(text, r"pcmp\w*w|pminuw|pmaxuw|psubusw", r"popcnt[lq]")


def test_the_cut_between_scores_is_counted_many_at_a_time():
    bits = np.arange(1, 200, dtype=np.uint32)
    assert_packed(code(count_reaching, bits, np.uint32(10)), r"pcmp\w*d|pmaxud|pminud", "popcnt[lq]")


def test_keys_that_stay_are_moved_without_a_branch_for_each():
    text = code(keep_largest, np.arange(1, 200, dtype=np.uint64), 199, 10)
    assert re.search(r"^\s+(set\w+|adc\w?|sbb\w?|cmov\w+)\s", text, re.MULTILINE)


def test_adding_a_range_calls_nothing_and_checks_no_index(blocks, rows):
    """Calls and jumps to an error would be `call` or a raised IndexError; prefetches show that misses overlap."""
    scratch = new_scratch(blocks, 10, 20)
    text = code(score_range, blocks, rows, 0, int(rows.offsets[1]), 0, scratch.scores)
    assert not re.search(r"^\s+call", text, re.MULTILINE)
    assert "IndexError" not in text
    assert_packed(text, "mulss", "addss", "prefetch.*")


@pytest.mark.parametrize("weights", ["uint8", "float16", "float32"])
def test_weights_are_widened_and_multiplied_eight_at_a_time(weights, rows):
    blocks = InvertedIndex.from_csr(random_batch(0, 500, 20), weights=weights).blocks
    scratch = new_scratch(blocks, 1, 20)
    text = code(score_range, blocks, rows, 0, int(rows.offsets[1]), 0, scratch.scores)
    widened = [] if weights == "float32" else [r"pmovzx[bw]d|punpckl[bw]w|punpcklwd"]
    assert_packed(text, *widened, "mulps", "prefetch.*")
    assert not re.search(r"^\s+call", text, re.MULTILINE)
