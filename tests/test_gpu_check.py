"""``scripts/gpu_check.py``, tried in small sizes on the processor."""

import importlib.util
import json
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "scripts" / "gpu_check.py")
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


@pytest.fixture
def ran(script, monkeypatch, tmp_path):
    """Runs the script with arguments; its exit code and the rows that it wrote."""

    def run(*arguments):
        out = tmp_path / "rows.jsonl"
        monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--device", "cpu", "--out", str(out), *arguments])
        code = script.main()
        return code, [json.loads(line) for line in out.read_text().splitlines()]

    return run


def test_every_part_runs_and_every_verification_holds(ran, script, capsys):
    code, rows = ran()
    assert code == 0
    assert [row for row in rows if not row.get("ok", True)] == []
    assert {row["part"] for row in rows} == {*script.PARTS, "all"}
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
    verified = {row["part"] for row in rows if "ok" in row}
    assert verified == {"head", "nan", "scaler", "all"}


def test_a_part_that_fails_is_a_line_and_the_others_go_on(ran, script, monkeypatch):
    def breaks(here):
        yield {"ms": 1.0}
        raise RuntimeError("no such luck")

    monkeypatch.setitem(script.PARTS, "head", breaks)
    monkeypatch.setitem(script.PARTS, "nan", lambda here: iter([{"ok": False}, {"ok": True}]))
    code, rows = ran("--parts", "head", "nan", "objective")
    assert code == 1
    assert [row["part"] for row in rows if "ms" in row or "forward_backward_ms" in row] == ["head", "objective"]
    assert "RuntimeError: no such luck" in next(row["failed"] for row in rows if "failed" in row)
    assert rows[-1] == {
        "part": "all",
        "ok": False,
        "failed": ["head", "nan"],
        "left_out": [],
        "seconds": rows[-1]["seconds"],
    }


def test_no_part_is_begun_when_the_time_is_over(ran):
    code, rows = ran("--seconds", "-1", "--parts", "head", "nan")
    assert code == 0
    assert [row["left_out"] for row in rows] == [["head", "nan"]]


def test_what_is_wrong_is_found(ran, script, monkeypatch):
    """The head is held to products in float64."""
    pool = script.head.pool_tokens

    def halved(states, *given):
        weights, places = pool(states, *given)
        return (weights if given[-2].itemsize == 8 else weights * 0.5), places

    monkeypatch.setattr(script.head, "pool_tokens", halved)
    code, rows = ran("--parts", "head")
    assert code == 1
    assert all(row["weights_off"] == pytest.approx(0.5) for row in rows if "weights_off" in row)


def test_the_ways_of_a_head_are_those_that_the_device_can_have(script, monkeypatch):
    import torch

    monkeypatch.setattr(script.head.gpu, "has_triton", lambda: True)
    here = script.Machine("cpu")
    here.is_gpu, here.capability = True, (9, 0)
    assert script.head.ways(here, torch.bfloat16) == ["torch", "half"]
    assert script.head.ways(here, torch.float32, tf32=True) == ["torch", "tf32"]
    here.capability = (7, 0)
    assert script.head.ways(here, torch.float16) == ["torch"]
    assert here.types == (torch.float16, torch.float32)


def test_groups_and_tiles_are_timed_where_there_is_a_kernel(ran, script, monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed: it is made for Linux on x86-64")
    from splade.models.heads import triton_head

    class Nothing:
        """Stands in for the kernel, which a processor does not run."""

        def __getitem__(self, grid):
            return lambda *given, **options: None

    monkeypatch.setattr(triton_head, "_pool", Nothing())
    monkeypatch.setattr(script.head, "ways", lambda here, dtype: ["torch", "half"])
    code, rows = ran("--parts", "groups", "tiles")
    assert code == 0
    assert [row["cached_bytes"] for row in rows if "cached_bytes" in row] == [1, triton_head.CACHED, 1 << 40]
    assert next(row["tiles"] for row in rows if "tiles" in row) == list(triton_head.TILES["half"])
