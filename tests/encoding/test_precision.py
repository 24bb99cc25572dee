"""Half precision: used where it is native, refused where it is emulated, near float32 where used."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from splade.encoding import Encoder, precision
from splade.encoding.precision import cpu_flags, precision_of, type_by_capability
from splade.mining.teachers import half_precision
from splade.models import Splade
from tests.encoding.test_encoder import TEXTS, dense
from tests.tiny import tiny_mlm

CPU = torch.device("cpu")
X86 = "processor : 0\nflags\t\t: fpu avx2 avx512f {}\nbugs :\nprocessor : 1\nflags : fpu\n"


def listed(tmp_path, text):
    (tmp_path / "cpuinfo").write_text(text)
    cpu_flags.cache_clear()
    return cpu_flags(tmp_path / "cpuinfo")


@pytest.fixture(autouse=True)
def fresh():
    yield
    cpu_flags.cache_clear()


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset({"avx2", "avx512f"}))


@pytest.fixture
def with_both(monkeypatch):
    monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset({"avx512_bf16", "amx_fp16"}))


def test_flags_are_read_as_linux_lists_them_on_x86_and_arm(tmp_path):
    assert "avx512_bf16" in listed(tmp_path, X86.format("avx512_bf16"))
    assert "avx512_bf16" not in listed(tmp_path, X86.format(""))
    assert {"asimdhp", "bf16"} <= listed(tmp_path, "Features : fp asimd asimdhp bf16\n")
    assert listed(tmp_path, "") == frozenset()
    cpu_flags.cache_clear()
    assert cpu_flags(tmp_path / "absent") == frozenset()


def test_what_is_emulated_is_refused_in_words(without, caplog):
    assert precision_of(CPU, bf16=True) is torch.float32
    assert "init_dict.bf16: this processor has no bfloat16 of its own" in caplog.text
    assert precision_of(CPU, fp16=True) is torch.float32
    assert "init_dict.fp16: this processor has no float16" in caplog.text


def test_what_is_native_is_used(with_both, caplog):
    assert precision_of(CPU, bf16=True) is torch.bfloat16
    assert precision_of(CPU, fp16=True) is torch.float16
    assert precision_of(CPU) is torch.float32
    assert not caplog.text


def test_both_at_once_are_refused():
    with pytest.raises(ValueError, match="choose one"):
        precision_of(CPU, fp16=True, bf16=True)


def test_an_unknown_device_computes_in_float32():
    assert precision_of(torch.device("meta"), bf16=True) is torch.float32


@pytest.mark.parametrize(("asked", "tolerance"), [("bf16", 0.15), ("fp16", 0.02)])
def test_vectors_in_half_precision_are_near_those_in_float32(asked, tolerance, with_both, tmp_path):
    model = Splade(str(tiny_mlm(tmp_path / "mlm")), max_length=32)
    exact = Encoder(model, "document", device="cpu").encode_all(TEXTS)
    half = Encoder(model, "document", device="cpu", **{asked: True})
    found = half.encode_all(TEXTS)
    assert half.precision == {"bf16": "bfloat16", "fp16": "float16"}[asked]
    assert found.rows.weights.dtype == np.float32
    assert not np.array_equal(dense(found), dense(exact))  # it is used
    np.testing.assert_allclose(dense(found), dense(exact), atol=tolerance)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.mark.parametrize(
    ("capability", "bf16", "fp16"),
    [
        ((6, 1), torch.float32, torch.float32),  # GTX 1080
        ((7, 0), torch.float16, torch.float16),  # V100, which emulates bfloat16
        ((7, 5), torch.float16, torch.float16),  # T4
        ((8, 0), torch.bfloat16, torch.float16),  # A100
        ((8, 6), torch.bfloat16, torch.float16),
        ((9, 0), torch.bfloat16, torch.float16),  # H100
        ((12, 0), torch.bfloat16, torch.float16),
    ],
)
def test_the_capability_of_a_gpu_decides_on_the_half_type(capability, bf16, fp16, monkeypatch, caplog):
    assert type_by_capability(torch.bfloat16, capability) is bf16
    assert type_by_capability(torch.float16, capability) is fp16
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    for asked, used in (("bf16", bf16), ("fp16", fp16)):
        caplog.clear()
        assert precision_of(torch.device("cuda:0"), **{asked: True}) is used
        told = f"init_dict.{asked}: cuda:0 has no {precision.name_of(HALVES[asked])} of its own"
        assert (told in caplog.text) == (used is not HALVES[asked])


@pytest.mark.parametrize(
    ("capability", "used"), [((6, 1), None), ((7, 0), torch.float16), ((7, 5), torch.float16), ((8, 0), torch.bfloat16)]
)
def test_a_reranker_that_teaches_computes_in_the_half_type_that_its_gpu_has(capability, used, monkeypatch):
    class OnGpu:
        device = torch.device("cuda:0")

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch, "autocast", lambda device_type, dtype: dtype)
    context = half_precision(OnGpu(), fp16=True)
    assert context is used if used else isinstance(context, nullcontext)
