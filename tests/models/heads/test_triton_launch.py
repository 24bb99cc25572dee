"""Around the kernel: which program does what, on which device it is launched, and what it asks of GPUs.

Compiled ahead of time, for GPUs that are not there.
"""

from contextlib import contextmanager
from itertools import pairwise, product

import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton is not installed: it is made for Linux on x86-64")

from benchmarks.gpu.ahead_of_time import SHARED, compiled  # noqa: E402
from splade.models.backbones.packed import Packed  # noqa: E402
from splade.models.heads import triton_head  # noqa: E402
from splade.models.heads.triton_head import Tiles, pool, texts_together  # noqa: E402

CASES = [
    *((capability, kind, "max", "half") for capability in SHARED for kind in ("fp16", "bf16")),
    *((capability, "bf16", "sum", "half") for capability in (80, 90)),
    *((capability, "fp32", "max", "tf32") for capability in (86, 90)),
    (80, "fp32", "sum", "ieee"),
]
OFTEN = {
    (86, "fp32", "max", "tf32"),
    (90, "bf16", "sum", "half"),
    (120, "fp16", "max", "half"),
    (80, "fp32", "sum", "ieee"),
}
"""Every GPU, every type and both poolings at least once; the other cases compile when there is time."""


@pytest.mark.thinned(4)
@pytest.mark.parametrize(
    ("capability", "kind", "agg", "way"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case not in OFTEN)) for case in CASES],
)
def test_the_kernel_compiles_for_gpus_that_are_not_here(capability, kind, agg, way, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    found = compiled(capability, kind, agg, way)
    assert found.shared <= SHARED[capability]
    types = {"fp16": {"f16"}, "bf16": {"bf16"}, "fp32": {"tf32"}}
    assert found.products == (types[kind] if way != "ieee" else set())
    assert 0 < found.registers <= 255
    assert found.spilt == 0


@pytest.mark.parametrize(("n_texts", "n_blocks", "n_together"), [(7, 3, 2), (7, 3, 7), (1, 5, 1), (6, 1, 4), (8, 4, 4)])
def test_every_text_meets_every_block_once_and_a_group_shares_a_block(n_texts, n_blocks, n_together):
    own = [triton_head._own_work.fn(program, n_texts, n_blocks, n_together) for program in range(n_texts * n_blocks)]
    assert sorted(own) == list(product(range(n_texts), range(n_blocks)))
    changes = sum(before[1] != after[1] for before, after in pairwise(own))
    n_groups = -(-n_texts // n_together)
    assert changes <= n_groups * n_blocks  # a block of the matrix is read once for each group


def packed(lengths=(3, 5), width=8, dtype=torch.float32):
    return Packed(torch.zeros(sum(lengths), width), lengths, torch.zeros(300, width), None, dtype)


@pytest.mark.parametrize(("octets", "together"), [(1, 1), (4 * 8 * 4, 1), (2 * 4 * 8 * 4, 2), (1 << 30, 2)])
def test_a_group_has_the_texts_whose_states_the_cache_holds(octets, together, monkeypatch):
    monkeypatch.setattr(triton_head, "CACHED", octets)
    assert texts_together(packed()) == together  # texts of 4 tokens on average, of 8 dimensions of 4 bytes
    assert texts_together(packed(())) == 1


class Recorder:
    """Stands in for the kernel: what it is launched with, and on which device."""

    def __init__(self):
        self.launches, self.current = [], "the device of another"

    def __getitem__(self, grid):
        return lambda *given, **options: self.launches.append((self.current, grid, given, options))

    @contextmanager
    def device_of(self, tensor):
        former, self.current = self.current, tensor.device
        yield
        self.current = former


@pytest.fixture
def recorder(monkeypatch):
    kernel = Recorder()
    monkeypatch.setattr(triton_head, "_pool", kernel)
    monkeypatch.setattr(torch.cuda, "device_of", kernel.device_of)
    return kernel


def test_the_kernel_is_launched_on_the_device_of_the_states(recorder):
    pool(packed(), "max", "relu", "half")
    assert [launch[0] for launch in recorder.launches] == [torch.device("cpu")]
    assert recorder.current == "the device of another"


def test_there_is_a_program_for_each_text_and_block_and_none_for_nothing(recorder):
    pool(packed(), "max", "relu", "half", Tiles(16, 128, 16, warps=4))
    _, grid, _, options_ = recorder.launches.pop()
    assert grid == (2 * 3,)  # two texts, 300 terms in blocks of 128
    assert (options_["n_tile_tokens"], options_["num_warps"]) == (16, 4)
    weights, places = pool(packed(()), "max", "relu", "half")
    assert recorder.launches == []
    assert weights.shape == places.shape == (0, 300)


def test_products_are_taken_in_the_type_asked_for_and_places_kept_small(recorder):
    _, places = pool(packed(dtype=torch.float16), "max", "relu", "half")
    given = recorder.launches[0][2]
    assert [part.dtype for part in given[:2]] == [torch.float16] * 2
    assert places.dtype == torch.int16
    assert pool(packed((40_000,), 1), "max", "relu", "half")[1].dtype == torch.int32
