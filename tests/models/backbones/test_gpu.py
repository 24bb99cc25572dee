"""What is decided for a GPU: functions of plain values, and the settings that a command applies."""

import logging

import pytest
import torch

from splade.files import InputError
from splade.models import Splade
from splade.models.backbones import gpu
from splade.models.backbones.gpu import Gpu, check_gpus, prepare, runs_on, way_of
from splade.models.heads import cuda_head, fused_head, torch_head
from tests.models.heads.test_fused_head import LENGTHS, case

V100, T4, A100, RTX3090, H100, RTX5090 = (7, 0), (7, 5), (8, 0), (8, 6), (9, 0), (12, 0)
CU126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU130 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]
HALF, BFLOAT, FLOAT, DOUBLE = torch.float16, torch.bfloat16, torch.float32, torch.float64


@pytest.fixture(autouse=True)
def _as_before():
    former = gpu.choice.head, torch.get_float32_matmul_precision()
    yield
    gpu.choice.head = former[0]
    torch.set_float32_matmul_precision(former[1])


@pytest.mark.parametrize(
    ("capability", "dtype", "tf32", "has_triton", "asked", "way"),
    [
        *((old, dtype, tf32, True, None, "torch") for old in (V100, T4) for dtype in (HALF, FLOAT) for tf32 in (0, 1)),
        *(
            (new, dtype, False, True, None, "half")
            for new in (A100, RTX3090, H100, RTX5090)
            for dtype in (HALF, BFLOAT)
        ),
        (A100, HALF, False, False, None, "torch"),  # no Triton
        (A100, FLOAT, False, True, None, "torch"),  # no tensor cores for float32: the device's library is faster
        (A100, FLOAT, True, True, None, "tf32"),
        (A100, DOUBLE, True, True, None, "torch"),
        (A100, HALF, False, True, "torch", "torch"),
        (A100, FLOAT, False, True, "triton", "ieee"),
        (A100, DOUBLE, False, True, "triton", "torch"),
        (V100, HALF, False, True, "torch", "torch"),
    ],
)
def test_triton_is_for_products_on_tensor_cores_from_8_0_on(capability, dtype, tf32, has_triton, asked, way):
    assert way_of(capability, dtype, tf32=bool(tf32), has_triton=has_triton, asked=asked) == way


def test_triton_that_cannot_be_had_is_refused_in_words():
    for capability in (V100, T4):
        with pytest.raises(InputError, match=r"config.cuda_head=triton needs .* 8.0 or more, and this one has 7.[05]"):
            way_of(capability, HALF, tf32=False, has_triton=True, asked="triton")
    with pytest.raises(InputError, match=r"needs Triton and a C compiler .* or set config.cuda_head=torch"):
        way_of(A100, HALF, tf32=False, has_triton=False, asked="triton")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        (V100, CU126, True),
        (V100, CU130, False),
        (T4, CU130, True),
        ((6, 1), CU126, True),  # code for 6.0
        ((8, 9), CU130, True),  # code for 8.6
        ((10, 3), CU130, True),
        ((11, 0), CU130, False),
        ((12, 1), CU130, True),
        ((13, 0), CU130, True),  # PTX of 12.0 is compiled for it
        ((13, 0), CU130[:-1], False),
        (H100, ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((10, 3), ["sm_100f"], True),
        ((12, 0), ["compute_90a"], False),
        ((9, 4), ["gfx942"], True),  # another maker's names say nothing
        (A100, [], True),
    ],
)
def test_code_runs_where_cuda_says_that_it_does(capability, architectures, runs):
    assert runs_on(capability, architectures) == runs


def test_a_torch_without_code_for_the_gpu_is_told_in_words_before_any_work():
    cards = [Gpu(number, "Tesla V100-SXM2-16GB", V100) for number in range(4)]
    with pytest.raises(InputError) as told:
        check_gpus(cards, CU130)
    for words in (
        "GPU 3 (Tesla V100-SXM2-16GB) has compute capability 7.0",
        "sm_75, sm_80",
        "docs/gpu.md",
        "CUDA 12.6",
    ):
        assert words in str(told.value)
    check_gpus(cards, CU126)
    check_gpus([], [])


def test_one_gpu_among_several_that_torch_has_no_code_for_is_a_warning(caplog):
    check_gpus([Gpu(0, "H100", H100), Gpu(1, "GT 1030", (6, 1))], CU130)
    assert "GPU 1 (GT 1030)" in caplog.text
    assert "CUDA_VISIBLE_DEVICES" in caplog.text


def test_the_check_is_made_at_the_start_of_a_command(monkeypatch):
    monkeypatch.setattr(gpu, "visible_gpus", lambda: [Gpu(0, "Tesla V100", V100)])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU130)
    with pytest.raises(InputError, match=r"compute capability 7\.0"):
        prepare()
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU126)
    prepare()
    with pytest.raises(InputError, match=r"config\.cuda_head=triton needs"):
        prepare(head="triton")
    with pytest.raises(InputError, match="must be one of triton, torch, got 'cublas'"):
        prepare(head="cublas")


def test_triton_without_a_c_compiler_is_not_used(monkeypatch, tmp_path, caplog):
    assert not gpu.can_launch({"PATH": str(tmp_path)})
    assert gpu.can_launch({"PATH": str(tmp_path), "CC": "/opt/bin/icx"})
    (tmp_path / "clang").touch(0o755)
    assert gpu.can_launch({"PATH": str(tmp_path)})
    monkeypatch.setattr(gpu, "find_spec", lambda name: name)
    monkeypatch.setattr(gpu, "can_launch", lambda environment: False)
    with caplog.at_level(logging.WARNING):
        assert not gpu.has_triton.__wrapped__()
    assert "needs a C compiler" in caplog.text


def test_the_setting_decides_what_the_operator_calls(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: A100)
    monkeypatch.setattr(gpu, "has_triton", lambda: True)
    device = torch.device("cuda")
    assert gpu.way_on(device, HALF) == "half"
    prepare(head="torch")
    assert gpu.way_on(device, HALF) == "torch"
    prepare(tf32=True)
    assert gpu.way_on(device, FLOAT) == "tf32"
    assert gpu.takes_tf32(device)
    assert not gpu.takes_tf32(torch.device("cpu"))
    prepare(tf32=False)
    assert gpu.way_on(device, FLOAT) == "torch"


def test_vectors_of_tf32_say_that_they_are(mlm, monkeypatch):
    """So that they are not mixed with those of float32 in one set of shards."""
    from splade.encoding import Encoder

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: A100)
    encoder = Encoder(Splade(mlm), "document", device="cuda")
    assert encoder.precision == "float32"
    prepare(tf32=True)
    assert encoder.precision == "tf32"
    assert Encoder(Splade(mlm), "document", device="cpu").precision == "float32"


def test_a_v100_gets_torchs_products_from_the_fused_head(monkeypatch):
    """All the way from `splade_head`, as on a device that is no CPU."""
    used = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: V100)
    monkeypatch.setattr(gpu, "has_triton", lambda: True)
    pool = torch_head.pool
    monkeypatch.setattr(torch_head, "pool", lambda *given: used.append(given[0].dtype) or pool(*given))
    states, weight, bias = case()
    ours, _ = cuda_head.pool_tokens(states, weight, bias, list(LENGTHS), "max", "relu", HALF)
    assert used == [HALF]
    exact = fused_head.splade_head(states, LENGTHS, weight, bias, "max", "relu")
    torch.testing.assert_close(ours, exact, rtol=0.01, atol=0.01)
    assert fused_head.is_fast_on(torch.device("cuda"))  # Triton or not


@pytest.mark.slow
def test_asking_for_tf32_raises_in_no_state_of_torch(run_python):
    """`allow_tf32` raises where the newer name was set; either way of setting it is seen."""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has the older name alone")
    found = run_python(
        "import torch\n"
        "from splade.models.backbones import gpu\n"
        "matmul = torch.backends.cuda.matmul\n"
        "def new(): matmul.fp32_precision = 'tf32'\n"
        "def all(): torch.backends.fp32_precision = 'tf32'\n"
        "def old(): matmul.allow_tf32 = True\n"
        "def both(): torch.set_float32_matmul_precision('high'); matmul.fp32_precision = 'ieee'\n"
        "for state in (lambda: None, new, all, old, both):\n"
        "    torch.set_float32_matmul_precision('highest')\n"
        "    torch.backends.fp32_precision = matmul.fp32_precision = 'none'\n"
        "    state(); print(gpu.tf32_is_on())\n"
        "    gpu.prepare(tf32=True); print(gpu.tf32_is_on(), torch.get_float32_matmul_precision())\n"
    )
    seen = [line.split() for line in found.splitlines()]
    assert [line for line in seen[::2]] == [["False"], ["True"], ["True"], ["True"], ["False"]]
    assert seen[1::2] == [["True", "high"]] * 5
